import { applyDecorators } from '@nestjs/common';
import { Type } from 'class-transformer';
import { ArrayMaxSize, registerDecorator, ValidateNested } from 'class-validator';

type TypeOf = () => new () => object;

/** One object of a DTO class. ValidateNested alone would take a list, even an empty one, for it. */
export function Nested(type: TypeOf): PropertyDecorator {
  const message = 'must be an object';
  const isOne = (value: unknown) => value instanceof type();
  return applyDecorators(Type(type), ValidateNested({ message }), rule('nested', message, isOne));
}

/** A list of up to `max` objects of a DTO class. */
export function NestedList(type: TypeOf, max: number): PropertyDecorator {
  const message = 'must be a list of objects';
  const isList = (value: unknown) => Array.isArray(value) && value.every((each) => each instanceof type());
  return applyDecorators(
    Type(type),
    ValidateNested({ each: true, message }),
    ArrayMaxSize(max, { message: `must have at most ${max} entries` }),
    rule('nestedList', message, isList),
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
