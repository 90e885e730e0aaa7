# syntax=docker/dockerfile:1
# docker build --target orchestrator-api . | --target kernel-node . | --target examples .
# Node.js 26, because its permission model keeps modules off the network, which that of 24 can't.

FROM node:26-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
COPY apps/analyze/package.json apps/analyze/package.json
COPY apps/demo/package.json apps/demo/package.json
COPY apps/kernel-node/package.json apps/kernel-node/package.json
COPY apps/local-cluster/package.json apps/local-cluster/package.json
COPY apps/orchestrator-api/package.json apps/orchestrator-api/package.json
COPY examples/payment-processor/package.json examples/payment-processor/package.json
COPY examples/price-list/package.json examples/price-list/package.json
COPY libs/api/package.json libs/api/package.json
COPY libs/domain/package.json libs/domain/package.json
COPY libs/infrastructure/package.json libs/infrastructure/package.json
COPY libs/orchestrator/package.json libs/orchestrator/package.json
COPY packages/agent-protocol/package.json packages/agent-protocol/package.json
COPY packages/module-host/package.json packages/module-host/package.json
COPY packages/module-kit/package.json packages/module-kit/package.json
COPY packages/node-agent/package.json packages/node-agent/package.json
COPY packages/simulation/package.json packages/simulation/package.json
RUN --mount=type=cache,target=/root/.npm npm ci
COPY . .
RUN npm run build
# The optional packages are a Node.js and a Postgres for npm start; the image and the compose file have their own.
RUN npm prune --omit=dev --omit=optional \
 && rm -rf apps/*/src libs/*/src packages/*/src

FROM node:26-bookworm-slim AS runtime
ENV NODE_ENV=production
WORKDIR /app
# Made here, so that named volumes mounted on them belong to the user that writes them.
RUN install --directory --owner=node --group=node /var/lib/hotswap /var/lib/hotswap/data /var/lib/hotswap/node \
    /var/lib/hotswap/secrets /var/lib/hotswap/trust /var/lib/hotswap/join /var/lib/hotswap/keys
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/packages ./packages
COPY --from=build /build/libs ./libs
COPY --from=build /build/apps ./apps
USER node

FROM runtime AS orchestrator-api
ENV HOST=0.0.0.0 \
    PORT=5000 \
    HOTSWAP_DATA_DIR=/var/lib/hotswap/data \
    HOTSWAP_TRUST_FILE=/var/lib/hotswap/trust/trust.json
EXPOSE 5000
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/ready`, { signal: AbortSignal.timeout(3000) }).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "apps/orchestrator-api/dist/main.js"]

FROM runtime AS kernel-node
ENV HOST=0.0.0.0 \
    PORT=7300 \
    HOTSWAP_NODE_DIR=/var/lib/hotswap/node \
    HOTSWAP_SECRETS_DIR=/var/lib/hotswap/secrets \
    HOTSWAP_TRUST_FILE=/var/lib/hotswap/trust/trust.json
# A node's identity, kept when its container is restarted, and each container's own.
VOLUME /var/lib/hotswap/node
EXPOSE 7300
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/ready`, { signal: AbortSignal.timeout(3000) }).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--max-semi-space-size=4", "apps/kernel-node/dist/main.js"]

FROM runtime AS examples
COPY --from=build /build/examples ./examples
ENTRYPOINT ["node", "apps/local-cluster/dist/examples/main.js"]
