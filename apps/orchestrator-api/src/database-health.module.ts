import { Global, Module } from '@nestjs/common';
import { DatabaseHealth as PostgresHealth } from '@hotswap/infrastructure';
import { DatabaseHealth } from '@hotswap/orchestrator';

/** Postgres' state under the port's name. */
@Global()
@Module({
  providers: [
    {
      provide: DatabaseHealth,
      inject: [PostgresHealth],
      useFactory: (postgres: PostgresHealth): DatabaseHealth => ({
        check: async () => {
          const state = await postgres.check();
          if (!state.isReachable) return { reachable: false, migrationsPending: false, message: state.because };
          const { migrationsPending } = state;
          if (migrationsPending.length === 0) return { reachable: true, migrationsPending: false };
          return {
            reachable: true,
            migrationsPending: true,
            message: `lacks migrations: ${migrationsPending.join(', ')}`,
          };
        },
      }),
    },
  ],
  exports: [DatabaseHealth],
})
export class DatabaseHealthModule {}
