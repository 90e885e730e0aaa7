import type { EnvironmentName } from '@hotswap/domain';

/** Addresses of the API's resources, as `Location` headers and links name them. */
export const apiPaths = {
  deployment: (id: string) => `/api/v1/deployments/${id}`,
  moduleVersion: (name: string, version: string) => `/api/v1/modules/${name}/versions/${encodeURIComponent(version)}`,
  cluster: (environment: EnvironmentName) => `/api/v1/clusters/${environment}`,
} as const;
