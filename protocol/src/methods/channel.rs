//! Class channel (AMQP 0-9-1 §1.5): the life of a channel.

class! {
    channel = 20;

    /// The client opens the channel whose number the frame bears.
    Open = 10, "open", synchronous {
        [out_of_band: shortstr]
    }

    /// The channel is open.
    OpenOk = 11, "open-ok" {
        [channel_id: longstr]
    }

    /// Either side asks the other to stop or resume sending content.
    Flow = 20, "flow", synchronous {
        /// Whether content may flow.
        active: bit,
    }

    /// The state after a flow.
    FlowOk = 21, "flow-ok" {
        /// Whether content will flow.
        active: bit,
    }

    /// Either side ends the channel.
    Close<'a> = 40, "close", synchronous {
        /// Why.
        reply_code: short,
        /// Why, in words.
        reply_text: shortstr,
        /// The class of the method that failed, or 0.
        class_id: short,
        /// The method that failed, or 0.
        method_id: short,
    }

    /// The close was received; the number is free again.
    CloseOk = 41, "close-ok" {}
}
