FROM node:24-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --omit=optional
COPY . .
RUN npm run build && npm prune --omit=dev --omit=optional --ignore-scripts

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /opt/ringferry
COPY --from=build /build/package.json /build/LICENSE ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY --from=build /build/config ./config
RUN install -d -o node -g node /var/lib/ringferry && ln -s /opt/ringferry/dist/cli/main.js /usr/local/bin/ringferry && chmod +x dist/cli/main.js
USER node
WORKDIR /var/lib/ringferry
VOLUME /var/lib/ringferry
EXPOSE 6432 6433 9432
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s CMD ["node", "-e", "fetch('http://127.0.0.1:9432/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["ringferry"]
CMD ["serve", "-c", "/etc/ringferry/ringferry.yaml"]
