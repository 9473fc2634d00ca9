# syntax=docker/dockerfile:1
# Builds a container image from the source: one static binary and a CA bundle.
#   docker build --tag sessiontut . && docker run --rm sessiontut ping redis://redis.example.com:6379
FROM rust:slim AS build
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates musl-tools
WORKDIR /sessiontut
COPY . .
RUN target="$(uname -m)-unknown-linux-musl" \
    && rustup target add "$target" \
    && cargo build --locked --release --target "$target" \
    && cp "target/$target/release/sessiontut" /sessiontut-static

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /sessiontut-static /sessiontut
# The image has no /etc/passwd. 65534 is usually the user nobody.
USER 65534:65534
ENTRYPOINT ["/sessiontut"]
