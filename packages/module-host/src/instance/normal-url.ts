const originsMax = 1000;
const origins = new Map<string, string>();

// What the URL parser leaves as it is; it takes dot segments out, also written as %2e.
const plainPath = /^\/[\w\-.~!$&()*+,;=:@%/]*(?:\?[\w\-.~!$&()*+,;=:@%/?]*)?$/;
const dotSegment = /\/(?:\.|%2e)/i;

/** The URL as `new Request(url).url` would have it; without parsing it where it is already so. */
export function normalUrl(url: string): string {
  const pathStart = url.indexOf('/', url.indexOf('://') + 3);
  if (pathStart < 0) return new URL(url).href;
  const path = url.slice(pathStart);
  if (!plainPath.test(path) || dotSegment.test(path)) return new URL(url).href;
  return normalOrigin(url.slice(0, pathStart)) + path;
}

/** Origins are few: the hosts that clients name. */
function normalOrigin(origin: string): string {
  let normal = origins.get(origin);
  if (normal === undefined) {
    if (origins.size >= originsMax) origins.clear();
    origins.set(origin, (normal = new URL(origin).origin));
  }
  return normal;
}
