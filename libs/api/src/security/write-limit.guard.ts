import { Injectable, type ExecutionContext } from '@nestjs/common';
import { ThrottlerGuard } from '@nestjs/throttler';
import type { FastifyRequest } from 'fastify';

/** Bounds the writes of one address, over all operations together. Reads and the node protocol are not counted. */
@Injectable()
export class WriteLimitGuard extends ThrottlerGuard {
  protected override async shouldSkip(context: ExecutionContext): Promise<boolean> {
    const { method, url } = context.switchToHttp().getRequest<FastifyRequest>();
    return method === 'GET' || method === 'HEAD' || !url.startsWith('/api/');
  }

  protected override generateKey(_context: ExecutionContext, tracker: string): string {
    return tracker;
  }
}
