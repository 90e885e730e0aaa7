import 'reflect-metadata';
import { shutdownTelemetry } from '@hotswap/infrastructure/telemetry';
import { loadTrustFile, TrustError } from '@hotswap/module-kit';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { createApplication } from './application.js';
import { createLog } from './log.js';
import { readSettings, SettingsError, type Settings } from './settings.js';
import { waitForApplication } from './waiting-server.js';

const shutdownMilliseconds = 10_000;

try {
  await run(readSettings(process.env));
} catch (error) {
  const isSetting = error instanceof SettingsError || error instanceof TrustError;
  console.error(isSetting ? error.message : error);
  process.exit(isSetting ? 2 : 1);
}

async function run(settings: Settings): Promise<void> {
  const log = createLog(settings.logLevel);
  const trust = await loadTrustFile(settings.trustFile);
  for (const warning of settings.warnings) log.warn(warning);

  let app: NestFastifyApplication | null = null;
  const end = endOnSignal(log, async () => app?.close());
  const waiting = waitForApplication(settings);
  const created = await createApplication(settings, trust, log);
  await waiting.leave();
  if (end.isEnding) return created.close();
  app = created;
  try {
    await app.listen(settings.port, settings.host);
    log.info(`HotSwap API at ${await app.getUrl()}`);
  } catch (error) {
    // Closed by the signal while it came up; that way ends the process.
    if (!end.isEnding) throw error;
  }
}

/** SIGTERM and SIGINT close what runs and end the process with 0, within 10 s. */
function endOnSignal(log: Logger, close: () => Promise<void>): { isEnding: boolean } {
  const state = { isEnding: false };
  const end = (signal: string) => {
    if (state.isEnding) return;
    state.isEnding = true;
    log.info(`${signal}: finishing what is in flight`);
    setTimeout(() => {
      log.error(`Not finished after ${shutdownMilliseconds / 1000} s; ending anyway`);
      process.exit(1);
    }, shutdownMilliseconds).unref();
    close()
      .finally(shutdownTelemetry)
      .then(
        () => process.exit(0),
        (error: unknown) => {
          log.error(error);
          process.exit(1);
        },
      );
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  return state;
}
