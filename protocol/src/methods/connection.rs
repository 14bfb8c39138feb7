//! Class connection (AMQP 0-9-1 §1.4), always on channel 0. `blocked`,
//! `unblocked` and `update-secret` are RabbitMQ's.

class! {
    connection = 10;

    /// The server's first method: who it is and how one may log in.
    Start<'a> = 10, "start", synchronous {
        /// 0
        version_major: octet,
        /// 9
        version_minor: octet,
        /// Product, version, capabilities.
        server_properties: table,
        /// Names of mechanisms, a space between.
        mechanisms: longstr,
        /// Names of locales, a space between.
        locales: longstr,
    }

    /// The client's choice, and the first words of its login.
    StartOk<'a> = 11, "start-ok" {
        /// Product, version, capabilities.
        client_properties: table,
        /// The mechanism chosen.
        mechanism: shortstr,
        /// What the mechanism asks for; secret.
        response: longstr,
        /// The locale chosen.
        locale: shortstr,
    }

    /// The server asks for more.
    Secure<'a> = 20, "secure", synchronous {
        /// What the mechanism wants answered.
        challenge: longstr,
    }

    /// The client answers.
    SecureOk<'a> = 21, "secure-ok" {
        /// The answer; secret.
        response: longstr,
    }

    /// The server's limits.
    Tune = 30, "tune", synchronous {
        /// Highest channel number; 0 is no limit.
        channel_max: short,
        /// Octets of a whole frame; 0 is no limit.
        frame_max: long,
        /// Seconds; 0 is none.
        heartbeat: short,
    }

    /// The limits the client settles for.
    TuneOk = 31, "tune-ok" {
        /// Highest channel number; 0 is no limit.
        channel_max: short,
        /// Octets of a whole frame; 0 is no limit.
        frame_max: long,
        /// Seconds; 0 is none.
        heartbeat: short,
    }

    /// The client chooses its virtual host.
    Open<'a> = 40, "open", synchronous {
        /// Name of the virtual host.
        virtual_host: shortstr,
        ; [capabilities: shortstr, insist: bit]
    }

    /// The connection is open.
    OpenOk = 41, "open-ok" {
        [known_hosts: shortstr]
    }

    /// Either side ends the connection.
    Close<'a> = 50, "close", synchronous {
        /// Why.
        reply_code: short,
        /// Why, in words.
        reply_text: shortstr,
        /// The class of the method that failed, or 0.
        class_id: short,
        /// The method that failed, or 0.
        method_id: short,
    }

    /// The close was received; nothing follows.
    CloseOk = 51, "close-ok" {}

    /// The server will not read what this connection publishes.
    Blocked<'a> = 60, "blocked" {
        /// What the server is short of.
        reason: shortstr,
    }

    /// The server reads again.
    Unblocked = 61, "unblocked" {}

    /// The client brings a new secret before the old one expires.
    UpdateSecret<'a> = 70, "update-secret", synchronous {
        /// The new one; secret.
        new_secret: longstr,
        /// For logs.
        reason: shortstr,
    }

    /// The new secret is in use.
    UpdateSecretOk = 71, "update-secret-ok" {}
}
