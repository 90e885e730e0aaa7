import { ApiProperty, ApiSchema } from '@nestjs/swagger';

@ApiSchema({ name: 'DetectionStep' })
export class DetectionStepDto {
  @ApiProperty({ example: 10 })
  percent!: number;

  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'number', nullable: true },
    example: { x2: 14, x5: 0.7, x50: 0.03 },
    description: 'Until so many times as many errors would be contained; null: not at all.',
  })
  minutes!: Record<string, number | null>;
}
