import { AnalysisParameterError, resolveParameters, type CanaryStep } from '@hotswap/domain';
import { registerDecorator, type ValidationArguments } from 'class-validator';

/** Not below the number of another field of the same object. */
export function NotBelow(other: string): PropertyDecorator {
  return (target, propertyName) =>
    registerDecorator({
      name: 'notBelow',
      target: target.constructor,
      propertyName: propertyName as string,
      options: { message: `must be at least ${other}` },
      validator: {
        validate: (value: unknown, args?: ValidationArguments) =>
          !((value as number) < (args?.object as Record<string, number>)[other]!),
      },
    });
}

/** Each step gives more requests to the target than the one before, the last all of them. */
export function AscendingSteps(): PropertyDecorator {
  return (target, propertyName) =>
    registerDecorator({
      name: 'ascendingSteps',
      target: target.constructor,
      propertyName: propertyName as string,
      options: { message: 'must rise in percent from step to step and end with 100' },
      validator: { validate: isAscending },
    });
}

function isAscending(steps: unknown): boolean {
  if (!Array.isArray(steps)) return false;
  const percents = (steps as (CanaryStep | null)[]).map((step) => step?.percent ?? Number.NaN);
  return percents.at(-1) === 100 && percents.every((percent, index) => index === 0 || percent > percents[index - 1]!);
}

/** Names and values that the analysis takes; its plan follows from the steps. */
export function AnalysisParametersRule(): PropertyDecorator {
  return (target, propertyName) =>
    registerDecorator({
      name: 'analysisParameters',
      target: target.constructor,
      propertyName: propertyName as string,
      validator: {
        validate: (value: unknown) => problemOf(value) === null,
        defaultMessage: (args) => problemOf(args?.value) ?? 'must be parameters of the analysis',
      },
    });
}

function problemOf(value: unknown): string | null {
  try {
    const { plan, R, J } = resolveParameters(value) && (value as Record<string, unknown>);
    return plan === undefined && R === undefined && J === undefined ? null : 'plan, R and J follow from the steps';
  } catch (error) {
    if (error instanceof AnalysisParameterError) return error.message;
    throw error;
  }
}

/** A Prometheus check asks something and has a limit. */
export function CheckLimits(): PropertyDecorator {
  return (target, propertyName) =>
    registerDecorator({
      name: 'checkLimits',
      target: target.constructor,
      propertyName: propertyName as string,
      options: { message: 'of a Prometheus check must be given, with min or max' },
      validator: {
        validate: (query: unknown, args?: ValidationArguments) => {
          const { kind, min, max } = args?.object as { kind?: unknown; min?: unknown; max?: unknown };
          if (kind !== 'prometheus') return true;
          return (
            typeof query === 'string' && query.trim() !== '' && (typeof min === 'number' || typeof max === 'number')
          );
        },
      },
    });
}
