# Three stages: the browser's files, the binary that carries them, and what runs.

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
# not built, but named in Cargo.toml
COPY scripts/load/ scripts/load/
COPY tests/page-addon/ tests/page-addon/
COPY --from=static /build/static/dist/ static/dist/
RUN cargo build --release --locked

# The same Debian as where it was built, for the same libc.
FROM debian:bookworm-slim
COPY --from=server /build/target/release/peerstar /usr/local/bin/peerstar
# Read from the working directory; environment variables go before it.
COPY settings.toml /etc/peerstar/settings.toml
WORKDIR /etc/peerstar
# Any user will do (OpenShift picks one): nothing is written.
USER 10001:0
EXPOSE 9000
# Without a shell in between, so that SIGTERM reaches the server and it drains.
CMD ["/usr/local/bin/peerstar"]
