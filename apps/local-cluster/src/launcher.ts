import { DataDirectory } from './data-directory.js';
import { LauncherLock } from './launcher-lock.js';
import { LocalCluster } from './local-cluster.js';
import { createLog } from './log.js';
import { readSettings, SettingsError } from './settings.js';

/** npm forwards a signal that the terminal has sent to the launcher already: two within this time are one. */
const repeatedSignalMilliseconds = 1_000;
const parentPollMilliseconds = 250;

// Nobody may be reading any more; that is no reason to leave children behind.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

try {
  await run();
} catch (error) {
  fail(error);
}

async function run(): Promise<void> {
  const settings = readSettings(process.env, process.cwd());
  const data = new DataDirectory(settings.dataDirectory);
  data.create();
  const lock = await LauncherLock.acquire(data.lockFile);
  const log = createLog(data.logFile('local-cluster'), settings.logLevel);
  for (const name of settings.unknownNames)
    log.warn(`${name} is no setting of npm start and is not used; docs/running.md lists them`);
  const cluster = new LocalCluster(settings, data, log, (text) => void process.stdout.write(text));

  const hurry = new AbortController();
  let endingSince: number | null = null;
  let ending: Promise<void> | null = null;
  const end = (why: string): Promise<void> => {
    if (ending !== null) return ending;
    endingSince = performance.now();
    lock.markEnding();
    log.info(`${why}: ending everything`);
    ending = cluster.end(hurry.signal).finally(() => lock.release());
    return ending;
  };
  const endAndExit = (why: string) => {
    end(why).then(() => {
      log.info('everything has ended');
      process.exit();
    }, fail);
  };

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (endingSince === null) endAndExit(signal);
      else if (performance.now() - endingSince > repeatedSignalMilliseconds) hurry.abort();
    });
  }
  watchNpm(() => endAndExit('npm, which started this, has gone'));
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, `defect in the launcher: ${error.stack ?? error.message}`);
    process.exitCode = 1;
    endAndExit('After a defect');
  });

  try {
    await cluster.start();
  } catch (error) {
    // Ended while starting: that is no failure.
    if (ending !== null) return;
    await end('Not started');
    throw error;
  }
}

/** npm's shell does not always hand signals on: when npm is gone, so is the one who could end this. */
function watchNpm(onGone: () => void): void {
  if (process.env['npm_lifecycle_event'] === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onGone();
  }, parentPollMilliseconds).unref();
}

function fail(error: unknown): never {
  const text = error instanceof SettingsError ? error.message : error instanceof Error ? error.message : String(error);
  process.stderr.write(`${text}\n`);
  process.exit(error instanceof SettingsError ? 2 : 1);
}
