import { findWindowFault, isTimeZone, type FreezeWindow } from '@hotswap/domain';
import { registerDecorator, type ValidationArguments } from 'class-validator';

const timeZoneLengthMax = 100;

/** A name of the IANA time zone database. */
export function KnownTimeZone(): PropertyDecorator {
  return rule(
    'knownTimeZone',
    () => 'must be a name of the IANA time zone database such as Europe/Berlin',
    (value) => typeof value === 'string' && value.length <= timeZoneLengthMax && isTimeZone(value),
  );
}

/** One end of a freeze's window. Each fault is told where it is. */
export function FreezeTime(): PropertyDecorator {
  return rule(
    'freezeTime',
    (args) => faultOf(args) ?? 'must be a time',
    (_, args) => faultOf(args) === null,
  );
}

/** A whole number within limits. */
export function WholeNumber({ min, max }: { min: number; max: number }): PropertyDecorator {
  return rule(
    'wholeNumber',
    () => `must be a whole number from ${min} to ${max}`,
    (value) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
  );
}

function faultOf(args: ValidationArguments | undefined): string | null {
  const { from, to } = (args?.object ?? {}) as Partial<FreezeWindow>;
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  const fault = findWindowFault({ from: text(from), to: text(to) });
  return fault?.field === args?.property ? (fault?.message ?? null) : null;
}

function rule(
  name: string,
  defaultMessage: (args?: ValidationArguments) => string,
  validate: (value: unknown, args?: ValidationArguments) => boolean,
): PropertyDecorator {
  return (target, propertyName) =>
    registerDecorator({
      name,
      target: target.constructor,
      propertyName: propertyName as string,
      validator: { validate, defaultMessage },
    });
}
