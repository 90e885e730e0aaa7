import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What is said of the control plane in SQL: who is silent, when nodes changed state, and the views for people in schema `ops`. */
export class CreateOpsViews1764000000011 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(nodeTables);
    await runner.query(`
      CREATE SCHEMA IF NOT EXISTS ops;
      COMMENT ON SCHEMA ops IS 'What HotSwap does, for people with psql. Reads only; docs/ops.md has queries to start from.';`);
    for (const view of views) {
      await runner.query(`CREATE VIEW ops.${view.name} AS ${view.select}`);
      await runner.query(`COMMENT ON VIEW ops.${view.name} IS ${quote(view.comment)}`);
      for (const [column, comment] of Object.entries(view.columns))
        await runner.query(`COMMENT ON COLUMN ops.${view.name}.${column} IS ${quote(comment)}`);
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const { name } of views.toReversed()) await runner.query(`DROP VIEW ops.${name}`);
    await runner.query(`
      DROP SCHEMA ops;
      DROP VIEW hotswap.node_silence;
      DROP TABLE hotswap.node_state_change;`);
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

const nodeTables = `
  CREATE TABLE hotswap.node_state_change (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node_id text NOT NULL REFERENCES hotswap.node DEFERRABLE INITIALLY DEFERRED,
    boot_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('Starting', 'Ready', 'LameDuck', 'Draining', 'Gone')),
    at timestamptz(3) NOT NULL,
    silent_since timestamptz(3)
  );
  CREATE INDEX node_state_change_of_node ON hotswap.node_state_change (node_id, id);
  ${createNodeSilence(['Gone'])}`;

/**
 * `node_silence` says in SQL what the domain's `KernelNode.state` and `isHeardSinceGap` say: lost after 15 s of silence while someone listened,
 * but for nodes in these states.
 */
export function createNodeSilence(states: string[]): string {
  return `
  CREATE OR REPLACE VIEW hotswap.node_silence AS
  SELECT node.id AS node_id, silence.seconds,
    listening.is_on AND listening.is_settled AND silence.seconds >= 15
      AND reported_state NOT IN (${states.map(quote).join(', ')}) AS is_lost,
    listening.is_on AND last_heartbeat_at >= coalesce(listening.resumed_at, '-infinity') AS is_heard
  FROM hotswap.node
  CROSS JOIN (
    SELECT
      EXISTS (SELECT FROM hotswap.control_plane_beat WHERE statement_timestamp() - at <= interval '5 seconds') AS is_on,
      NOT EXISTS (SELECT FROM hotswap.listening_gap WHERE statement_timestamp() - to_at < interval '15 seconds') AS is_settled,
      (SELECT max(to_at) FROM hotswap.listening_gap) AS resumed_at
  ) AS listening
  CROSS JOIN LATERAL (
    SELECT greatest(0, extract(epoch FROM statement_timestamp() - last_heartbeat_at) - coalesce(sum(
      extract(epoch FROM least(to_at, statement_timestamp()) - greatest(from_at, last_heartbeat_at))), 0)) AS seconds
    FROM hotswap.listening_gap
    WHERE to_at > last_heartbeat_at AND from_at < statement_timestamp()
  ) AS silence;`;
}

interface View {
  name: string;
  comment: string;
  /** In the view's order. */
  columns: Record<string, string>;
  select: string;
}

const deployments: View = {
  name: 'deployments',
  comment: 'Every deployment at a glance: where it is, for how long, and why.',
  columns: {
    id: 'As in the API.',
    module: 'Name of the module.',
    version: 'Version that it brings.',
    environment: 'Target: it passes through the environments before this one.',
    status:
      'Pending, Running, AwaitingApproval, Paused, RollingBack, Succeeded, Failed, RolledBack, Cancelled or Superseded.',
    stage: 'Stage in hand: Verify, Approval, Deploy or Validate; null when all are finished.',
    stage_environment: 'Environment of the stage in hand; null for Verify.',
    stage_status: 'Status of the stage in hand.',
    strategy: 'How the stage in hand rolls out; null before a Deploy stage starts.',
    step: 'Step in hand of the rollout; 0 is the scout.',
    steps: 'How many steps the rollout has.',
    target_percent: 'Share of the requests (or nodes) on the new version when the step is done.',
    reason_code: 'Why the status is what it is; stable.',
    reason: 'The same, for people, with its numbers.',
    requester: 'E-mail address of who asked for it.',
    created_at: 'When it was asked for.',
    started_at: 'When its first stage started; null before.',
    finished_at: 'When it ended; null before.',
    seconds: 'From created_at to its end, or so far.',
  },
  select: `
    SELECT deployment.id, deployment.module, deployment.version, target_environment AS environment, deployment.status,
      stage.name AS stage, stage.environment AS stage_environment, stage.status AS stage_status, stage.strategy,
      (stage.progress ->> 'number')::integer AS step, (stage.progress ->> 'of')::integer AS steps,
      (stage.progress ->> 'targetPercent')::double precision AS target_percent,
      deployment.reason ->> 'code' AS reason_code, deployment.reason ->> 'message' AS reason,
      requester_email AS requester, deployment.created_at, deployment.started_at, deployment.finished_at,
      round(extract(epoch FROM coalesce(deployment.finished_at, statement_timestamp()) - deployment.created_at), 1) AS seconds
    FROM hotswap.deployment
    LEFT JOIN LATERAL (
      SELECT name, environment, status, strategy, progress
      FROM hotswap.deployment_stage
      WHERE deployment_id = deployment.id AND status IN ('Pending', 'Running', 'Waiting', 'RollingBack')
      ORDER BY status = 'RollingBack' DESC, CASE WHEN status = 'RollingBack' THEN -ordinal ELSE ordinal END
      LIMIT 1
    ) AS stage ON true`,
};

const runningModules: View = {
  name: 'running_modules',
  comment: 'What runs where: one row per environment and module.',
  columns: {
    environment: 'Development, QA, Staging or Production.',
    module: 'Name of the module.',
    version: 'Version that the environment is to run; null while its first one is still being rolled out.',
    previous_version: 'What a rollback of the environment goes back to; null: to nothing.',
    since: 'When the newest deployment or rollback that brought it was complete.',
    release: 'Digest of the artifact with its configuration.',
    deployment_id: 'The deployment or rollback that is moving it now; null: none.',
  },
  select: `
    SELECT record.environment, record.module, current.version, previous.version AS previous_version, brought.since,
      record.release, owner.deployment_id
    FROM hotswap.environment_release AS record
    LEFT JOIN hotswap.release AS current ON current.digest = record.release
    LEFT JOIN hotswap.release AS previous ON previous.digest = record.previous
    LEFT JOIN hotswap.deployment_stage AS owner ON owner.id = record.owner_stage_id
    CROSS JOIN LATERAL (
      SELECT max(finished_at) AS since
      FROM hotswap.deployment_stage AS stage
      WHERE stage.environment = record.environment AND stage.module = record.module AND stage.name = 'Deploy' AND (
        (stage.status = 'Succeeded' AND to_release = record.release) OR
        (stage.status = 'RolledBack' AND from_release = record.release))
    ) AS brought
    WHERE record.release IS NOT NULL OR record.owner_stage_id IS NOT NULL`,
};

/** `isElsewhere`: whether a node does not run what a `record` says, by what it says of itself (`seen`). */
export function selectNodes(isElsewhere: string): string {
  return `
    SELECT node.id, node.environment, current.state,
      current.state = 'Ready' AND silence.is_heard AND NOT EXISTS (
        SELECT FROM hotswap.environment_release AS record
        LEFT JOIN hotswap.node_observation AS seen ON seen.node_id = node.id AND seen.module = record.module
        WHERE record.environment = node.environment AND record.owner_stage_id IS NULL
          AND (${isElsewhere})) AS is_healthy,
      ARRAY(
        SELECT seen.module || '@' || release.version
        FROM hotswap.node_observation AS seen
        JOIN hotswap.release ON release.digest = seen.active
        WHERE seen.node_id = node.id
        ORDER BY seen.module) AS modules,
      ARRAY(
        SELECT record.module
        FROM hotswap.environment_release AS record
        JOIN hotswap.node_assignment AS wanted ON wanted.node_id = node.id AND wanted.module = record.module
        JOIN hotswap.node_observation AS seen ON seen.node_id = node.id AND seen.module = record.module
        WHERE record.environment = node.environment
          AND (node.accepted_epoch, node.accepted_revision) >= (wanted.epoch, wanted.revision)
          AND EXISTS (
            SELECT FROM jsonb_array_elements(seen.instances) AS instance
            WHERE instance ->> 'release' = record.release AND instance ->> 'state' = 'Failed')
        ORDER BY record.module) AS failed_modules,
      round(silence.seconds, 1) AS silent_seconds, node.last_heartbeat_at, beat.at AS control_plane_beat_at,
      node.reported_state, node.hostname, node.address, node.zone, node.pid, node.boot_id, node.kernel_version, node.joined_at
    FROM hotswap.node
    JOIN hotswap.node_silence AS silence ON silence.node_id = node.id
    CROSS JOIN LATERAL (SELECT CASE WHEN silence.is_lost THEN 'Lost' ELSE node.reported_state END AS state) AS current
    LEFT JOIN hotswap.control_plane_beat AS beat ON true
    WHERE node.decommissioned_at IS NULL`;
}

const nodes: View = {
  name: 'nodes',
  comment: 'Every node that was not decommissioned, as the control plane judges it now.',
  columns: {
    id: 'The id that the node chose.',
    environment: 'Environment that it belongs to.',
    state: 'Starting, Ready, LameDuck, Draining, Gone, or Lost: silent for 15 s while the control plane listened.',
    is_healthy:
      'Ready, and runs what its environment is to run; it said so since the control plane last began to listen.',
    modules: 'What it says it runs, as module@version.',
    failed_modules: 'Modules whose wanted release it could not make run.',
    silent_seconds: 'Since its last heartbeat, without the times when no control plane listened.',
    last_heartbeat_at: 'When it last reported.',
    control_plane_beat_at: 'When the control plane last listened; with no beat for 5 s nobody is judged.',
    reported_state: 'What it last said its state is.',
    hostname: 'Machine that it runs on.',
    address: 'Where it takes requests.',
    zone: 'Failure zone, where it has one.',
    pid: 'Process id on that machine.',
    boot_id: 'New with every start of its process.',
    kernel_version: 'Version of the node itself.',
    joined_at: 'When this boot joined.',
  },
  select: selectNodes('record.release IS NOT NULL AND seen.active IS DISTINCT FROM record.release'),
};

const clusters: View = {
  name: 'clusters',
  comment: 'Every environment: how its nodes are, and what the last minute brought.',
  columns: {
    environment: 'Development, QA, Staging or Production.',
    strategy: 'How its policy takes new versions.',
    status: 'Healthy (every node Ready on its release), Progressing, Degraded or Empty.',
    nodes: 'Nodes that belong to it, without those that are Gone.',
    healthy_nodes: 'Of these, Ready ones that run what the environment is to run.',
    lost_nodes: 'Of these, Lost ones.',
    rollouts: 'Modules that a deployment or rollback is moving now.',
    requests_last_minute: 'Requests that its modules answered in the last minute.',
    failures_last_minute: 'Of these, failed ones: 5xx, time-outs, no answer.',
  },
  select: `
    SELECT environment.name AS environment, environment.policy ->> 'strategy' AS strategy,
      CASE
        WHEN members.nodes = 0 THEN 'Empty'
        WHEN owned.rollouts > 0 THEN 'Progressing'
        WHEN members.healthy_nodes = members.nodes THEN 'Healthy'
        WHEN members.hopeful_nodes = members.nodes THEN 'Progressing'
        ELSE 'Degraded'
      END AS status,
      members.nodes, members.healthy_nodes, members.lost_nodes, owned.rollouts,
      traffic.requests AS requests_last_minute, traffic.failures AS failures_last_minute
    FROM hotswap.environment
    CROSS JOIN LATERAL (
      SELECT count(*) AS nodes, count(*) FILTER (WHERE is_healthy) AS healthy_nodes,
        count(*) FILTER (WHERE state = 'Lost') AS lost_nodes,
        count(*) FILTER (WHERE is_healthy OR (state IN ('Ready', 'Starting') AND failed_modules = '{}')) AS hopeful_nodes
      FROM ops.nodes
      WHERE nodes.environment = environment.name AND state <> 'Gone'
    ) AS members
    CROSS JOIN LATERAL (
      SELECT count(owner_stage_id) AS rollouts
      FROM hotswap.environment_release AS record
      WHERE record.environment = environment.name
    ) AS owned
    CROSS JOIN LATERAL (
      SELECT coalesce(sum(requests), 0) AS requests, coalesce(sum(failures), 0) AS failures
      FROM hotswap.traffic_sample AS sample
      WHERE sample.environment = environment.name AND at > statement_timestamp() - interval '1 minute'
    ) AS traffic`,
};

const nodeHistory: View = {
  name: 'node_history',
  comment: 'When nodes changed their state, or were heard again after being Lost; kept for 30 days.',
  columns: {
    node_id: 'The node.',
    environment: 'Environment that it belongs to.',
    state: 'What it said its state is from then on.',
    at: 'When it said so.',
    until_at: 'When it said something else; null: it has not.',
    seconds: 'From at to until_at, or so far.',
    silent_since: 'Its last heartbeat before it was Lost, where this row ended that; else null.',
    boot_id: 'Boot that said so.',
  },
  select: `
    SELECT node_id, environment, state, at, until_at,
      round(extract(epoch FROM coalesce(until_at, statement_timestamp()) - at), 1) AS seconds, silent_since, boot_id
    FROM (
      SELECT change.*, node.environment, lead(at) OVER (PARTITION BY node_id ORDER BY change.id) AS until_at
      FROM hotswap.node_state_change AS change
      JOIN hotswap.node ON node.id = node_id
    ) AS change`,
};

const rollbacks: View = {
  name: 'rollbacks',
  comment: 'Every environment that was, or is being, taken back, and why.',
  columns: {
    deployment_id: 'The deployment that was taken back.',
    module: 'Name of the module.',
    environment: 'Where it was taken back.',
    version: 'Version that was taken back.',
    back_to_version: 'Version that the environment went back to; null: to nothing.',
    status: 'RollingBack, or RolledBack once every live node had confirmed.',
    reason_code: 'Why; stable.',
    reason: 'Why, for people, with its numbers.',
    began_at: 'When it was decided; every touched node was told with the same commit.',
    finished_at: 'When every live node had confirmed; null before.',
    seconds: 'From began_at to finished_at, or so far.',
    exposed_seconds: 'How long requests were given to the version there, until it was off every node.',
    exposed_requests: 'Requests that it answered there in that time.',
    exposed_failures: 'Of these, failed ones: 5xx, time-outs, no answer.',
  },
  select: `
    SELECT deployment.id AS deployment_id, deployment.module, stage.environment, deployment.version,
      back_to.version AS back_to_version, stage.status, deployment.rollback_reason ->> 'code' AS reason_code,
      deployment.rollback_reason ->> 'message' AS reason, began.at AS began_at, stage.finished_at,
      round(extract(epoch FROM coalesce(stage.finished_at, statement_timestamp()) - began.at), 1) AS seconds,
      round(exposure.seconds::numeric, 1) AS exposed_seconds, exposure.requests AS exposed_requests,
      exposure.failures AS exposed_failures
    FROM hotswap.deployment_stage AS stage
    JOIN hotswap.deployment ON deployment.id = stage.deployment_id
    JOIN hotswap.stage_exposure AS exposure ON exposure.stage_id = stage.id
    LEFT JOIN hotswap.release AS back_to ON back_to.digest = stage.from_release
    CROSS JOIN LATERAL (
      SELECT max(at) AS at
      FROM hotswap.deployment_event AS event
      WHERE event.deployment_id = deployment.id AND event.environment = stage.environment AND event.type = 'rolling-back'
    ) AS began
    WHERE stage.status IN ('RollingBack', 'RolledBack')`,
};

const decisions: View = {
  name: 'decisions',
  comment: 'Every decision of the control plane about a deployment; a wait is kept once.',
  columns: {
    id: 'Rises with time.',
    at: 'When it was committed.',
    deployment_id: 'The deployment that it is about.',
    module: 'Name of the module.',
    version: 'Version that the deployment brings.',
    stage: 'Stage in hand; null for the end.',
    environment: 'Environment of the stage; null for Verify and the end.',
    kind: 'hold, gather, advance, complete-stage, roll-back or finish.',
    rule: 'Which rule decided; stable.',
    message: 'What it says, for people.',
    numbers: 'The numbers that it looked at.',
    changes: 'What it wrote, releases as digests.',
    revisions: 'Revisions of what it had read; they still held when it was committed.',
  },
  select: `
    SELECT decision.id, decision.at, decision.deployment_id, deployment.module, deployment.version, stage.name AS stage,
      stage.environment, decision.kind, because ->> 'code' AS rule, because ->> 'message' AS message,
      because -> 'data' AS numbers, changes, revisions
    FROM hotswap.decision
    JOIN hotswap.deployment ON deployment.id = decision.deployment_id
    LEFT JOIN hotswap.deployment_stage AS stage ON stage.id = decision.stage_id`,
};

/** Each after those that it reads. */
const views = [deployments, runningModules, nodes, clusters, nodeHistory, rollbacks, decisions];
