import type { Module, ModuleEnv } from '@hotswap/module-kit';
import { feeRates } from './fee.js';
import { lastFour, parsePayment, paymentId, type Payment } from './payment.js';

/** What a version adds to what all of them do. */
export interface Features {
  /** Serves `GET /fees`. */
  publishesFees: boolean;
  /** More members of the answer to a payment. */
  detailsOf: (payment: Payment) => Record<string, unknown>;
}

type Answer = (request: Request, env: ModuleEnv) => Response | Promise<Response>;

/** The module's handler: `POST /payments`, `GET /version`, `GET /health`, and what its features add. */
export function paymentProcessor(features: Features): Module {
  const routes: Record<string, { method: string; answer: Answer } | undefined> = {
    '/payments': { method: 'POST', answer: (request) => accept(request, features) },
    '/version': { method: 'GET', answer: (_, { module, version }) => Response.json({ module, version }) },
    '/health': { method: 'GET', answer: () => Response.json({ status: 'healthy' }) },
    ...(features.publishesFees ? { '/fees': { method: 'GET', answer: () => Response.json({ items: feeRates }) } } : {}),
  };
  return {
    async fetch(request, env) {
      const { pathname } = new URL(request.url);
      const route = Object.hasOwn(routes, pathname) ? routes[pathname] : undefined;
      if (route === undefined) return problem(404, 'not-found', `There is nothing at ${pathname}.`);
      if (request.method !== route.method) {
        const answer = problem(405, 'method-not-allowed', `${pathname} takes ${route.method} only.`);
        answer.headers.set('allow', route.method);
        return answer;
      }
      try {
        return await route.answer(request, env);
      } catch (error) {
        console.error(`${request.method} ${pathname} failed`, error);
        return problem(500, 'internal-error', 'The payment service failed; nothing was charged.');
      }
    },
  };
}

async function accept(request: Request, features: Features): Promise<Response> {
  let body: unknown;
  try {
    body = await request.json();
  } catch {
    return problem(400, 'malformed-json', 'The body is not JSON.');
  }
  const parsed = parsePayment(body);
  if ('problems' in parsed) {
    return problem(400, 'validation-failed', 'The payment is not valid; see errors.', parsed.problems);
  }
  const { payment } = parsed;
  const { amount, currency, card, reference } = payment;
  return Response.json(
    {
      id: paymentId(payment),
      status: 'accepted',
      amount,
      currency,
      card: { lastFour: lastFour(card) },
      reference,
      ...features.detailsOf(payment),
    },
    { status: 201 },
  );
}

function problem(status: number, code: string, detail: string, errors?: unknown): Response {
  return Response.json(
    { status, code, detail, errors },
    { status, headers: { 'content-type': 'application/problem+json' } },
  );
}
