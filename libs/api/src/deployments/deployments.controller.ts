import { Body, Controller, Get, Headers, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBody, ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import {
  DeploymentPlanner,
  DeploymentStore,
  DistributedKernelOrchestrator,
  type PlannedDeployment,
  type PlanOutcome,
  type RequestOutcome,
} from '@hotswap/orchestrator';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { endOf } from '../http/request-deadline.js';
import { ApiProblems, ApiWriteProblems } from '../problem/api-problems.decorator.js';
import { Problem } from '../problem/problem.js';
import { pageOf } from '../validation/page-query.dto.js';
import { DeploymentIdPipe, deploymentNotFound } from '../validation/path-parameters.js';
import { answerDeployment, deploymentLocation } from './answer-deployment.js';
import { CreateDeploymentDto, CreateDeploymentQuery } from './create-deployment.dto.js';
import { createRefusal } from './create-refusal.js';
import { DeploymentPlanDto, showPlan } from './deployment-plan.dto.js';
import { ListDeploymentsQuery, RetryDto, RollBackDto, WithReasonDto } from './deployment-requests.dto.js';
import { DeploymentDto, DeploymentListDto, showDeployment } from './deployment.dto.js';
import { idempotencyOf } from './idempotency-key.js';
import { inProgress } from './in-progress.js';

@ApiTags('Deployments')
@Controller('api/v1/deployments')
export class DeploymentsController {
  constructor(
    private readonly orchestrator: DistributedKernelOrchestrator,
    private readonly deployments: DeploymentStore,
    private readonly planner: DeploymentPlanner,
  ) {}

  @Post()
  @HttpCode(202)
  @ApiOperation({
    operationId: 'createDeployment',
    summary: 'Deploy a published version of a module, up to an environment',
    description:
      'Writes the deployment and answers at once; the reconcile loop takes it through its stages. With `dryRun=true` it answers the plan instead, and writes nothing.',
  })
  @ApiHeader({
    name: 'Idempotency-Key',
    required: false,
    description: 'Same key and body: the same deployment. 1 to 200 visible ASCII characters.',
    schema: { type: 'string', minLength: 1, maxLength: 200 },
  })
  @ApiResponse({
    status: 202,
    type: DeploymentDto,
    headers: deploymentLocation,
    description: 'The deployment, to be watched at its own address.',
  })
  @ApiResponse({ status: 200, type: DeploymentPlanDto, description: 'With `dryRun=true`: what it would do.' })
  @ApiWriteProblems(
    'module-not-found',
    'version-not-found',
    'deployment-in-progress',
    'version-withdrawn',
    'plan-outdated',
    'idempotency-key-reused',
    'deadline-exceeded',
  )
  async create(
    @Query() { dryRun }: CreateDeploymentQuery,
    @Body() body: CreateDeploymentDto,
    @Headers('idempotency-key') key: string | undefined,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DeploymentDto | DeploymentPlanDto> {
    const idempotency = idempotencyOf(key, body);
    const wanted = {
      module: body.moduleName,
      version: body.version,
      targetEnvironment: body.targetEnvironment,
      requesterEmail: body.requesterEmail,
      description: body.description ?? null,
      metadata: body.metadata ?? {},
      requireApproval: body.requireApproval ?? false,
      onConflict: body.onConflict ?? ('reject' as const),
      breakGlass: body.breakGlass ?? null,
      planRevision: body.planRevision ?? null,
      idempotency,
    };
    if (dryRun) return this.plan(wanted, request, reply);
    const outcome = await this.orchestrator.deploy(wanted);
    if (outcome.kind !== 'created' && outcome.kind !== 'repeated') throw createRefusal(wanted, outcome);
    return answerDeployment(this.deployments, outcome.id, reply);
  }

  @Get()
  @ApiOperation({ operationId: 'listDeployments', summary: 'List deployments, newest first' })
  @ApiResponse({ status: 200, type: DeploymentListDto, description: 'One page.' })
  @ApiProblems('validation-failed')
  async list(@Query() query: ListDeploymentsQuery): Promise<DeploymentListDto> {
    const { status, moduleName, environment, from, to } = query;
    const page = await this.deployments.list({ status, module: moduleName, environment, from, to }, pageOf(query));
    return { items: page.items.map(showDeployment), nextCursor: page.nextCursor };
  }

  @Get(':id')
  @ApiOperation({ operationId: 'getDeployment', summary: 'Look at a deployment' })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiResponse({ status: 200, type: DeploymentDto, description: 'The deployment as it is now.' })
  @ApiProblems('validation-failed', 'deployment-not-found')
  async get(@Param('id', DeploymentIdPipe) id: string): Promise<DeploymentDto> {
    const record = await this.deployments.find(id);
    if (!record) throw deploymentNotFound(id);
    return showDeployment(record);
  }

  @Post(':id/rollback')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'rollBackDeployment',
    summary: 'Take a deployment back',
    description:
      'A running deployment: the environment in hand. A finished one: its target, where it still runs what this deployment brought.',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiBody({ type: RollBackDto, required: false })
  @ApiResponse({
    status: 202,
    type: DeploymentDto,
    headers: deploymentLocation,
    description: 'The deployment, being rolled back.',
  })
  @ApiWriteProblems(
    'deployment-not-found',
    'nothing-to-roll-back',
    'not-current',
    'not-running',
    'deployment-in-progress',
  )
  async rollBack(
    @Param('id', DeploymentIdPipe) id: string,
    @Body() body: RollBackDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DeploymentDto> {
    const outcome = await this.orchestrator.rollBack(id, body.scope ?? 'environment', body.reason ?? null);
    return this.showRequested(id, outcome, reply);
  }

  @Post(':id/cancel')
  @HttpCode(202)
  @ApiOperation({ operationId: 'cancelDeployment', summary: 'Stop a deployment and take back the environment in hand' })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiBody({ type: WithReasonDto, required: false })
  @ApiResponse({
    status: 202,
    type: DeploymentDto,
    headers: deploymentLocation,
    description: 'The deployment, being cancelled.',
  })
  @ApiWriteProblems('deployment-not-found', 'not-running')
  async cancel(
    @Param('id', DeploymentIdPipe) id: string,
    @Body() body: WithReasonDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DeploymentDto> {
    return this.showRequested(id, await this.orchestrator.cancel(id, body.reason ?? null), reply);
  }

  @Post(':id/retry')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'retryDeployment',
    summary: 'Ask once more for what a deployment did not bring',
    description:
      'A new deployment of the same request, which names the one before as `retryOf`. Of one that ended Failed, RolledBack or Cancelled.',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiBody({ type: RetryDto, required: false })
  @ApiResponse({ status: 202, type: DeploymentDto, headers: deploymentLocation, description: 'The new deployment.' })
  @ApiWriteProblems('deployment-not-found', 'nothing-to-retry', 'deployment-in-progress', 'version-withdrawn')
  async retry(
    @Param('id', DeploymentIdPipe) id: string,
    @Body() body: RetryDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DeploymentDto> {
    const asked = { requesterEmail: body.requesterEmail ?? null, breakGlass: body.breakGlass ?? null };
    const outcome = await this.orchestrator.retry(id, asked);
    switch (outcome.kind) {
      case 'created':
      case 'repeated':
        return answerDeployment(this.deployments, outcome.id, reply);
      case 'deployment-not-found':
        throw deploymentNotFound(id);
      case 'nothing-to-retry':
        throw new Problem(
          'nothing-to-retry',
          `Deployment ${id} is ${outcome.status}; only one that ended Failed, RolledBack or Cancelled can be asked for again`,
        );
      default:
        throw createRefusal(await this.requestOf(id), outcome);
    }
  }

  private async requestOf(id: string): Promise<{ module: string; version: string }> {
    const record = await this.deployments.find(id);
    if (!record) throw deploymentNotFound(id);
    return record.deployment;
  }

  private async plan(
    wanted: PlannedDeployment,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<DeploymentPlanDto> {
    const outcome = await this.planner.plan(wanted, endOf(request));
    if (outcome.kind !== 'planned') throw planRefusal(wanted, outcome);
    reply.status(200);
    return showPlan(wanted, outcome.plan);
  }

  private async showRequested(id: string, outcome: RequestOutcome, reply: FastifyReply): Promise<DeploymentDto> {
    if (outcome.kind !== 'accepted') throw refusal(id, outcome);
    return answerDeployment(this.deployments, id, reply);
  }
}

function planRefusal(wanted: PlannedDeployment, outcome: Exclude<PlanOutcome, { kind: 'planned' }>): Problem {
  switch (outcome.kind) {
    case 'too-many-plans':
      return new Problem('deadline-exceeded', 'This process makes as many plans as it can; ask again', {
        headers: { 'retry-after': '5' },
      });
    case 'abandoned':
      return new Problem('deadline-exceeded', 'Nobody waits for the plan any more');
    default:
      return createRefusal(wanted, outcome);
  }
}

function refusal(id: string, outcome: Exclude<RequestOutcome, { kind: 'accepted' }>): Problem {
  switch (outcome.kind) {
    case 'deployment-not-found':
      return deploymentNotFound(id);
    case 'not-running':
      return new Problem('not-running', `Deployment ${id} is not running`);
    case 'nothing-to-roll-back':
      return new Problem('nothing-to-roll-back', `Deployment ${id} has changed no node, or is taken back already`);
    case 'not-current':
      return new Problem('not-current', outcome.message);
    case 'deployment-in-progress':
      return inProgress(outcome.id);
  }
}
