/** Once in a thousand seeds. */
const rareCase = 'case of a revision with other content after a restore';

/** What was found to break something once, told by a line of a seed's story. */
const cases: Record<string, RegExp> = {
  'case of a deployment paused while it is validated': /holding Validate \w+ Paused by request/,
  'case of a look from before a restore that meets its revision again': /a look from before a restore meets/,
  'case of a node from after the backup that comes back': /was started after what this database knows of it/,
  'case of a revision that a stream sent before a restore': /had sent this revision, or a later one, with/,
  [rareCase]: /has accepted a revision of this database with other content/,
};

/** What has to have happened in a run of some hundred seeds, or it has shown nothing: by name, in sentences of the counts. */
const mustHappen = [
  ...Object.keys(cases).filter((name) => name !== rareCase),
  'because batch',
  'because cancelled',
  'because catching-up',
  'because completed',
  'because failed-share-above-limit',
  'because failed-share-above-stable',
  'because gathering-evidence',
  'because nodes-joined',
  'because paused',
  'because progress-deadline',
  'because rolled-back',
  'because signature-refused',
  'because stable-broken',
  'because superseded',
  'because target-crashes',
  'because target-failed',
  'commits with a replica ended under them',
  'commits superseded',
  'completed BlueGreen',
  'completed Canary',
  'completed Direct',
  'completed Rolling',
  'database calls refused',
  'dismissed fenced',
  'documents refused',
  'ended Cancelled',
  'ended Failed',
  'ended RolledBack',
  'ended Succeeded',
  'ended Superseded',
  'epochs adopted',
  'fault database-restore',
  'fault node-crash',
  'fault replica-crash',
  'listening gaps',
  'messages doubled',
  'messages late',
  'messages lost',
  'nodes lost',
  'promote accepted',
  'requests answered',
  'roll back all accepted',
  'rolled back BlueGreen',
  'rolled back Canary',
  'rolled back Direct',
  'rolled back Rolling',
];

/** The names of the cases that a story tells of. */
export function findCases(story: string): string[] {
  return Object.keys(cases).filter((name) => cases[name]?.test(story));
}

/** What never happened, of what has to. */
export function findMissing(counts: ReadonlyMap<string, number>): string[] {
  return mustHappen.filter((what) => !counts.get(what));
}
