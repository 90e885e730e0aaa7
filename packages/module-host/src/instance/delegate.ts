/**
 * Makes a light class pass for the native one: its instances are `instanceof` it, and what the light class does not have itself is that of the native
 * object that `nativeOf` makes.
 */
export function delegateTo<Light extends object, Native extends object>(
  light: { prototype: Light },
  native: { prototype: Native },
  nativeOf: (object: Light) => Native,
): void {
  const own = light.prototype as Record<PropertyKey, unknown>;
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(native.prototype))) {
    if (Object.hasOwn(own, name)) {
      // As members of the standard's interfaces are.
      Object.defineProperty(own, name, { enumerable: true });
    } else if (property.get !== undefined) {
      Object.defineProperty(own, name, {
        get(this: Light): unknown {
          return property.get?.call(nativeOf(this));
        },
        enumerable: true,
        configurable: true,
      });
    } else if (typeof property.value === 'function') {
      const method = property.value as (...values: unknown[]) => unknown;
      Object.defineProperty(own, name, {
        value(this: Light, ...values: unknown[]): unknown {
          return method.apply(nativeOf(this), values);
        },
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
  }
  Object.setPrototypeOf(own, native.prototype);
}
