//! amqprs: the other Rust client, with callbacks for what the broker says
//! unasked.

use amqprs::callbacks::{ChannelCallback, DefaultConnectionCallback};
use amqprs::channel::{
    BasicAckArguments, BasicCancelArguments, BasicConsumeArguments, BasicGetArguments,
    BasicNackArguments, BasicPublishArguments, BasicQosArguments, Channel, ConfirmSelectArguments,
    QueueBindArguments, QueueDeclareArguments, QueueDeleteArguments,
};
use amqprs::connection::{Connection, OpenConnectionArguments};
use amqprs::error::Error;
use amqprs::{Ack, BasicProperties, Cancel, CloseChannel, DELIVERY_MODE_PERSISTENT, Nack, Return};
use async_trait::async_trait;
use leveret_tests::broker_under_test::Lent;
use leveret_tests::deadline::{in_time, run_in_time};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// What the broker said on a channel without being asked.
#[derive(Debug, PartialEq)]
enum Said {
    Acked(u64),
    Nacked(u64),
    Returned(u16, Vec<u8>),
    Closed(u16, String),
}

struct Listener(UnboundedSender<Said>);

impl Listener {
    fn tell(&self, said: Said) {
        // The test may have heard enough and gone.
        let _ = self.0.send(said);
    }
}

#[async_trait]
impl ChannelCallback for Listener {
    async fn close(&mut self, _: &Channel, close: CloseChannel) -> Result<(), Error> {
        self.tell(Said::Closed(close.reply_code(), close.reply_text().clone()));
        Ok(())
    }

    async fn cancel(&mut self, _: &Channel, _: Cancel) -> Result<(), Error> {
        Ok(())
    }

    async fn flow(&mut self, _: &Channel, active: bool) -> Result<bool, Error> {
        Ok(active)
    }

    async fn publish_ack(&mut self, _: &Channel, ack: Ack) {
        self.tell(Said::Acked(ack.delivery_tag()));
    }

    async fn publish_nack(&mut self, _: &Channel, nack: Nack) {
        self.tell(Said::Nacked(nack.delivery_tag()));
    }

    async fn publish_return(
        &mut self,
        _: &Channel,
        returned: Return,
        _: BasicProperties,
        content: Vec<u8>,
    ) {
        self.tell(Said::Returned(returned.reply_code(), content));
    }
}

/// Runs a conversation on a connection of its own, within the limit.
fn converse<F: Future<Output = Result<(), Error>>>(conversation: impl FnOnce(Connection) -> F) {
    let broker = Lent::start();
    let url = broker.url();
    let authority = url.split(['@', '/']).nth(3).expect("the URL has an authority");
    let (host, port) = authority.rsplit_once(':').expect("the authority has a port");
    let port = port.parse().expect("the port is a number");
    let session = async {
        let arguments = OpenConnectionArguments::new(host, port, "guest", "guest");
        let connection = Connection::open(&arguments).await?;
        connection.register_callback(DefaultConnectionCallback).await?;
        conversation(connection).await
    };
    run_in_time("the conversation", session).expect("the broker says yes");
}

/// Opens a channel, with an ear for what the broker says on it.
async fn open(connection: &Connection) -> Result<(Channel, UnboundedReceiver<Said>), Error> {
    let channel = connection.open_channel(None).await?;
    let (ear, said) = mpsc::unbounded_channel();
    channel.register_callback(Listener(ear)).await?;
    Ok((channel, said))
}

async fn publish(channel: &Channel, key: &str, body: &[u8]) -> Result<(), Error> {
    let mut arguments = BasicPublishArguments::new("amq.topic", key);
    arguments.mandatory(true);
    let properties =
        BasicProperties::default().with_delivery_mode(DELIVERY_MODE_PERSISTENT).finish();
    channel.basic_publish(properties, body.to_vec(), arguments).await
}

/// An exclusive queue bound to `amq.topic` with its own name.
async fn bound_queue(channel: &Channel) -> Result<String, Error> {
    let declared = channel.queue_declare(QueueDeclareArguments::exclusive_server_named()).await?;
    let (name, _, _) = declared.expect("declare-ok");
    channel.queue_bind(QueueBindArguments::new(&name, "amq.topic", &name)).await?;
    Ok(name)
}

#[test]
fn consumes_and_settles() {
    converse(|connection| async move {
        let (channel, _said) = open(&connection).await?;
        let queue = bound_queue(&channel).await?;
        channel.basic_qos(BasicQosArguments::new(0, 1, false)).await?;
        let arguments = BasicConsumeArguments::new(&queue, "");
        let (tag, mut deliveries) = channel.basic_consume_rx(arguments).await?;
        publish(&channel, &queue, b"one").await?;
        publish(&channel, &queue, b"two").await?;

        let expected = [("one", false, true), ("two", false, false), ("two", true, true)];
        for (body, redelivered, ack) in expected {
            let message = in_time("a delivery", deliveries.recv()).await.expect("a delivery");
            let deliver = message.deliver.expect("a delivery has its method");
            assert_eq!(message.content.as_deref(), Some(body.as_bytes()));
            assert_eq!(deliver.redelivered(), redelivered, "{body}");
            let tag = deliver.delivery_tag();
            if ack {
                channel.basic_ack(BasicAckArguments::new(tag, false)).await?;
            } else {
                channel.basic_nack(BasicNackArguments::new(tag, false, true)).await?;
            }
        }
        assert_eq!(channel.basic_cancel(BasicCancelArguments::new(&tag)).await?, tag);
        let deleted = channel.queue_delete(QueueDeleteArguments::new(&queue)).await?;
        assert_eq!(deleted, Some(0));
        channel.close().await?;
        connection.close().await
    });
}

#[test]
fn is_told_of_confirms_and_returns() {
    converse(|connection| async move {
        let (channel, mut said) = open(&connection).await?;
        let queue = bound_queue(&channel).await?;
        channel.confirm_select(ConfirmSelectArguments::default()).await?;
        publish(&channel, &queue, b"kept").await?;
        assert_eq!(in_time("news", said.recv()).await, Some(Said::Acked(1)));
        publish(&channel, "interop.nowhere", b"lost").await?;
        assert_eq!(in_time("news", said.recv()).await, Some(Said::Returned(312, b"lost".to_vec())));
        assert_eq!(in_time("news", said.recv()).await, Some(Said::Acked(2)));

        let got = channel.basic_get(BasicGetArguments::new(&queue).no_ack(true).finish()).await?;
        let (method, _, body) = got.expect("a message");
        assert_eq!((method.message_count(), body.as_slice()), (0, b"kept".as_slice()));
        assert!(channel.basic_get(BasicGetArguments::new(&queue)).await?.is_none());
        connection.close().await
    });
}

#[test]
fn commits_and_rolls_back() {
    converse(|connection| async move {
        let (channel, _said) = open(&connection).await?;
        let queue = bound_queue(&channel).await?;
        channel.tx_select().await?;
        publish(&channel, &queue, b"undone").await?;
        channel.tx_rollback().await?;
        publish(&channel, &queue, b"done").await?;
        channel.tx_commit().await?;
        let arguments = BasicGetArguments::new(&queue).no_ack(true).finish();
        let (_, _, body) = channel.basic_get(arguments.clone()).await?.expect("a message");
        assert_eq!(body, b"done");
        assert!(channel.basic_get(arguments).await?.is_none());
        connection.close().await
    });
}

#[test]
fn goes_on_after_a_missing_queue() {
    converse(|connection| async move {
        let (channel, mut said) = open(&connection).await?;
        let mut passive = QueueDeclareArguments::new("interop.missing");
        passive.passive(true);
        let refused = channel.queue_declare(passive).await;
        assert!(refused.is_err(), "there is no such queue: {refused:?}");
        let text = "NOT_FOUND - no queue 'interop.missing' in vhost '/'".to_owned();
        assert_eq!(in_time("news", said.recv()).await, Some(Said::Closed(404, text)));

        let (works, _said) = open(&connection).await?;
        bound_queue(&works).await?;
        connection.close().await
    });
}
