/** Whether the database can be worked with. */
export abstract class DatabaseHealth {
  /** Bounded in time; never throws because the database is away. */
  abstract check(): Promise<{
    reachable: boolean;
    migrationsPending: boolean;
    /** What is wrong, for people; holds no secrets. */
    message?: string;
  }>;
}
