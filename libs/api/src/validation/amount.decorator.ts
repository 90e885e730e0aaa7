import { registerDecorator } from 'class-validator';

/** A finite number of at least 0 (or more than `above`) and at most `max`. */
export function Amount({ above, max }: { above?: number; max: number }): PropertyDecorator {
  const message = `must be a number ${above === undefined ? 'of at least 0' : `above ${above}`} and at most ${max}`;
  const isIn = (value: number) => (above === undefined ? value >= 0 : value > above) && value <= max;
  return rule('amount', message, (value) => typeof value === 'number' && isIn(value));
}

/** A whole number from 0 to `max`. */
export function Count(max: number): PropertyDecorator {
  const message = `must be a whole number from 0 to ${max}`;
  return rule(
    'count',
    message,
    (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max,
  );
}

function rule(name: string, message: string, validate: (value: unknown) => boolean): PropertyDecorator {
  return (target, propertyName) =>
    registerDecorator({
      name,
      target: target.constructor,
      propertyName: propertyName as string,
      options: { message },
      validator: { validate },
    });
}
