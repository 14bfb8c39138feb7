# Leveret in a container: the paths, the user id and the port are those of the
# official RabbitMQ image, so that its volumes, mounts and compose files carry
# over.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# rust-toolchain.toml stays outside: the tag above is the toolchain.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY protocol protocol
COPY storage storage
COPY broker broker
COPY bench bench
COPY config config
# Of the tests cargo wants to see the manifest alone.
COPY tests/Cargo.toml tests/
RUN cargo build --release --locked -p leveret && cp target/release/leveret /leveret

FROM debian:bookworm-slim
RUN groupadd --system --gid 999 rabbitmq \
 && useradd --system --uid 999 --gid rabbitmq --home-dir /var/lib/rabbitmq rabbitmq \
 && install -d -o rabbitmq -g rabbitmq -m 0750 /var/lib/rabbitmq \
 && install -d /etc/rabbitmq/conf.d
COPY --from=build /leveret /usr/local/bin/leveret
# The command that compose files written for RabbitMQ give.
RUN ln -s leveret /usr/local/bin/rabbitmq-server
COPY config/docker/10-defaults.conf /etc/rabbitmq/conf.d/

# This file need not exist; conf.d beside it is read as well.
ENV RABBITMQ_CONFIG_FILE=/etc/rabbitmq/rabbitmq.conf
USER rabbitmq
VOLUME /var/lib/rabbitmq
EXPOSE 5672 5671
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["leveret", "healthcheck"]
CMD ["leveret"]
