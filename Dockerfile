# Three stages: build the browser's files, build the binary that carries them, and copy the binary.
# scripts/container runs these steps without a container engine.

FROM node:22-bookworm-slim AS static
WORKDIR /build/static
COPY static/package.json static/package-lock.json ./
RUN npm ci --include=dev --no-audit --no-fund
COPY static/ ./
RUN npm run build

FROM rust:1-bookworm AS server
WORKDIR /build
COPY Cargo.toml Cargo.lock build.rs ./
COPY src/ src/
# Cargo.toml names these members of the workspace; they are not built.
COPY scripts/load/ scripts/load/
COPY tests/page-addon/ tests/page-addon/
COPY --from=static /build/static/dist/ static/dist/
RUN cargo build --release --locked

# Debian is the release of the build stages, so that libc is the same.
FROM debian:bookworm-slim
COPY --from=server /build/target/release/peerstar /usr/local/bin/peerstar
# For a cluster's Redis behind TLS (rediss://).
COPY --from=server /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
# The server reads this file from its working directory. Environment variables override it.
COPY settings.toml /etc/peerstar/settings.toml
WORKDIR /etc/peerstar
# Any user works (OpenShift picks one), because the server writes nothing.
USER 10001:0
EXPOSE 9000
# No shell in between, so that SIGTERM reaches the server and it drains.
CMD ["/usr/local/bin/peerstar"]
