import { Body, Controller, HttpCode, Param, Post, Res } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { DeploymentStore, DistributedKernelOrchestrator, type ControlOutcome } from '@hotswap/orchestrator';
import type { FastifyReply } from 'fastify';
import { ApiWriteProblems } from '../problem/api-problems.decorator.js';
import { Problem } from '../problem/problem.js';
import { DeploymentIdPipe, deploymentNotFound } from '../validation/path-parameters.js';
import { answerDeployment, deploymentLocation } from './answer-deployment.js';
import { PromoteDto, WithReasonDto } from './deployment-requests.dto.js';
import { DeploymentDto } from './deployment.dto.js';

/** How people hold a deployment under way, and hurry it. */
@ApiTags('Deployments')
@Controller('api/v1/deployments')
export class DeploymentControlsController {
  constructor(
    private readonly orchestrator: DistributedKernelOrchestrator,
    private readonly deployments: DeploymentStore,
  ) {}

  @Post(':id/pause')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'pauseDeployment',
    summary: 'Hold a deployment where it is',
    description:
      'Nodes stay as they are, and no stage begins. What speaks against the target is acted on nevertheless. Pausing again changes nothing.',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiBody({ type: WithReasonDto, required: false })
  @ApiResponse({ status: 202, type: DeploymentDto, headers: deploymentLocation, description: 'The deployment.' })
  @ApiWriteProblems('deployment-not-found', 'not-running')
  async pause(
    @Param('id', DeploymentIdPipe) id: string,
    @Body() body: WithReasonDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DeploymentDto> {
    return this.answer(id, await this.orchestrator.pause(id, body.reason ?? null), reply);
  }

  @Post(':id/resume')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'resumeDeployment',
    summary: 'Let a paused deployment go on',
    description: 'The time of the pause counts for no bake and no deadline.',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiBody({ type: WithReasonDto, required: false })
  @ApiResponse({ status: 202, type: DeploymentDto, headers: deploymentLocation, description: 'The deployment.' })
  @ApiWriteProblems('deployment-not-found', 'not-paused')
  async resume(
    @Param('id', DeploymentIdPipe) id: string,
    @Body() body: WithReasonDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DeploymentDto> {
    return this.answer(id, await this.orchestrator.resume(id, body.reason ?? null), reply);
  }

  @Post(':id/promote')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'promoteDeployment',
    summary: 'Let a rollout go on without waiting',
    description:
      'To its next step, or with `full` through all steps of the Deploy stage in hand. What speaks against the target is acted on nevertheless.',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiBody({ type: PromoteDto, required: false })
  @ApiResponse({ status: 202, type: DeploymentDto, headers: deploymentLocation, description: 'The deployment.' })
  @ApiWriteProblems('deployment-not-found', 'nothing-to-promote')
  async promote(
    @Param('id', DeploymentIdPipe) id: string,
    @Body() body: PromoteDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DeploymentDto> {
    return this.answer(id, await this.orchestrator.promote(id, body.full ?? false, body.reason ?? null), reply);
  }

  private answer(id: string, outcome: ControlOutcome, reply: FastifyReply): Promise<DeploymentDto> {
    if (outcome === 'accepted') return answerDeployment(this.deployments, id, reply);
    throw outcome === 'deployment-not-found' ? deploymentNotFound(id) : new Problem(outcome, refusals[outcome]);
  }
}

const refusals: Record<Exclude<ControlOutcome, 'accepted' | 'deployment-not-found'>, string> = {
  'not-running': 'The deployment is over, or being taken back: there is nothing to pause',
  'not-paused': 'The deployment is not paused',
  'nothing-to-promote': 'No Deploy stage of the deployment is running now',
};
