import 'reflect-metadata';
import { loadTrustFile, TrustError } from '@hotswap/module-kit';
import { createApplication } from './application.js';
import { createLog } from './log.js';
import { readSettings, SettingsError, type Settings } from './settings.js';

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
  const app = await createApplication(settings, trust, log);

  let isEnding = false;
  const end = (signal: string) => {
    if (isEnding) return;
    isEnding = true;
    log.info(`${signal}: finishing what is in flight`);
    setTimeout(() => {
      log.error(`Not finished after ${shutdownMilliseconds / 1000} s; ending anyway`);
      process.exit(1);
    }, shutdownMilliseconds).unref();
    app.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error(error);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);

  await app.listen(settings.port, settings.host);
  log.info(`HotSwap API at ${await app.getUrl()}`);
}
