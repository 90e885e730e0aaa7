import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiParam, ApiResponse, ApiTags } from '@nestjs/swagger';
import { DeploymentStore, DistributedKernelOrchestrator } from '@hotswap/orchestrator';
import { ApiProblems, ApiWriteProblems } from '../problem/api-problems.decorator.js';
import { Problem } from '../problem/problem.js';
import { pageOf } from '../validation/page-query.dto.js';
import { DeploymentIdPipe, deploymentNotFound } from '../validation/path-parameters.js';
import { ApprovalDto, ApprovalListDto, ApprovalVerdictDto, ListApprovalsQuery, showApproval } from './approval.dto.js';

/** What people say of deployments that ask before Staging and before Production. */
@ApiTags('Deployments')
@Controller('api/v1')
export class ApprovalsController {
  constructor(
    private readonly orchestrator: DistributedKernelOrchestrator,
    private readonly deployments: DeploymentStore,
  ) {}

  @Get('approvals')
  @ApiOperation({ operationId: 'listApprovals', summary: 'List approvals that were asked for, newest first' })
  @ApiResponse({ status: 200, type: ApprovalListDto, description: 'One page.' })
  @ApiProblems('validation-failed')
  async list(@Query() query: ListApprovalsQuery): Promise<ApprovalListDto> {
    const { items, nextCursor } = await this.deployments.approvals(query.status ?? null, pageOf(query));
    return { items: items.map(showApproval), nextCursor };
  }

  @Post('deployments/:id/approve')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'approveDeployment',
    summary: 'Let a deployment into the environment it asks for',
    description:
      'By someone else than the one who asked for the deployment; by as many people as the environment’s policy wants.',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiResponse({ status: 202, type: ApprovalDto, description: 'The approval.' })
  @ApiWriteProblems('deployment-not-found', 'nothing-to-approve', 'own-approval')
  approve(@Param('id', DeploymentIdPipe) id: string, @Body() body: ApprovalVerdictDto): Promise<ApprovalDto> {
    return this.decide(id, true, body);
  }

  @Post('deployments/:id/reject')
  @HttpCode(202)
  @ApiOperation({
    operationId: 'rejectDeployment',
    summary: 'Keep a deployment out of the environment it asks for',
    description: 'The deployment ends; environments before this one keep what it brought.',
  })
  @ApiParam({ name: 'id', format: 'uuid' })
  @ApiResponse({ status: 202, type: ApprovalDto, description: 'The approval.' })
  @ApiWriteProblems('deployment-not-found', 'nothing-to-approve')
  reject(@Param('id', DeploymentIdPipe) id: string, @Body() body: ApprovalVerdictDto): Promise<ApprovalDto> {
    return this.decide(id, false, body);
  }

  private async decide(id: string, approved: boolean, body: ApprovalVerdictDto): Promise<ApprovalDto> {
    const outcome = await this.orchestrator.decideApproval(id, {
      approved,
      by: body.approverEmail,
      reason: body.reason ?? null,
    });
    switch (outcome.kind) {
      case 'accepted':
        return showApproval(outcome.approval);
      case 'deployment-not-found':
        throw deploymentNotFound(id);
      case 'nothing-to-approve':
        throw new Problem('nothing-to-approve', `Deployment ${id} waits for no approval now`);
      case 'own-approval':
        throw new Problem('own-approval', 'Someone else than the one who asked for the deployment has to approve it');
    }
  }
}
