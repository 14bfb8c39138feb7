# Leveret in a container. Paths, ports, the user id and the names of programs are
# those of the official RabbitMQ image, so that its volumes, mounts, health
# checks and compose files carry over.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# The allocator's build calls it.
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
# rust-toolchain.toml stays outside: the tag above is the toolchain.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY protocol protocol
COPY storage storage
COPY broker broker
COPY bench bench
# Of the tests cargo wants to see the manifest alone.
COPY tests/Cargo.toml tests/
RUN cargo build --release --locked -p leveret && cp target/release/leveret /leveret

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="Leveret" \
      org.opencontainers.image.description="An AMQP 0-9-1 message broker" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.springframework.boot.service-connection="rabbitmq"
# Others than 999 may write, too: `docker run --user` with any id works.
RUN groupadd --system --gid 999 rabbitmq \
 && useradd --system --uid 999 --gid rabbitmq --home-dir /var/lib/rabbitmq rabbitmq \
 && install -d -o rabbitmq -g rabbitmq -m 1777 \
        /var/lib/rabbitmq /var/lib/rabbitmq/mnesia /var/log/rabbitmq \
        /etc/rabbitmq /etc/rabbitmq/conf.d
COPY --from=build /leveret /usr/local/bin/leveret
COPY config/docker/entrypoint /usr/local/bin/docker-entrypoint.sh
# What compose files, scripts and health checks written for RabbitMQ call.
RUN cd /usr/local/bin \
 && ln -s docker-entrypoint.sh rabbitmq-server \
 && for name in rabbitmqctl rabbitmq-diagnostics rabbitmq-plugins rabbitmq-queues rabbitmq-upgrade rabbitmqadmin; \
        do ln -s leveret "$name"; done
COPY config/docker/10-defaults.conf /etc/rabbitmq/conf.d/

# rabbitmq.conf or, of Erlang terms, rabbitmq.config; neither need be there.
ENV RABBITMQ_CONFIG_FILE=/etc/rabbitmq/rabbitmq \
    RABBITMQ_CONFIG_FILES=/etc/rabbitmq/conf.d \
    RABBITMQ_ADVANCED_CONFIG_FILE=/etc/rabbitmq/advanced.config \
    RABBITMQ_ENABLED_PLUGINS_FILE=/etc/rabbitmq/enabled_plugins
VOLUME /var/lib/rabbitmq
EXPOSE 5671 5672 15671 15672 15692
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["leveret", "healthcheck"]
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["rabbitmq-server"]
