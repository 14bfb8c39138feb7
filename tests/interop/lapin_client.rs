//! lapin: the usual Rust client.

use std::future::Future;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions,
    BasicPublishOptions, BasicQosOptions, BasicRecoverOptions, BasicRejectOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};
use leveret_tests::broker_under_test::Lent;
use leveret_tests::deadline::run_in_time;

/// Runs a conversation on a connection of its own, within the limit.
fn converse<F: Future<Output = lapin::Result<()>>>(
    conversation: impl FnOnce(Connection, Channel, String) -> F,
) {
    let broker = Lent::start();
    let session = async {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&broker.url(), properties).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let options = QueueDeclareOptions::exclusive();
        let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
        let name = queue.name().to_string();
        assert!(name.starts_with("amq.gen-"), "{name} is a name of the broker's choice");
        conversation(connection, channel, name).await
    };
    run_in_time("the conversation", session).expect("the broker says yes");
}

/// Publishes and waits for the confirm.
async fn publish(channel: &Channel, queue: &str, body: &[u8]) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let properties = BasicProperties::default().with_delivery_mode(2);
    channel.basic_publish("".into(), queue.into(), options, body, properties).await?.await
}

async fn consume(channel: &Channel, queue: &str) -> lapin::Result<Consumer> {
    let options = BasicConsumeOptions::default();
    channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await
}

async fn next(consumer: &mut Consumer) -> lapin::Result<Delivery> {
    consumer.next().await.expect("the consumer is not cancelled")
}

#[test]
fn consumes_and_settles() {
    converse(|_connection, channel, queue| async move {
        channel.basic_qos(1, BasicQosOptions::default()).await?;
        let mut consumer = consume(&channel, &queue).await?;
        for body in [b"one", b"two"] {
            assert_eq!(publish(&channel, &queue, body).await?, Confirmation::Ack(None));
        }
        let one = next(&mut consumer).await?;
        assert_eq!((one.data.as_slice(), one.redelivered), (b"one".as_slice(), false));
        one.ack(BasicAckOptions::default()).await?;

        let two = next(&mut consumer).await?;
        assert_eq!((two.data.as_slice(), two.redelivered), (b"two".as_slice(), false));
        two.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await?;
        let again = next(&mut consumer).await?;
        assert_eq!((again.data.as_slice(), again.redelivered), (b"two".as_slice(), true));
        again.reject(BasicRejectOptions { requeue: false }).await?;

        channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await?;
        publish(&channel, &queue, b"unheard").await?;
        assert_eq!(channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await?, 1);
        Ok(())
    });
}

#[test]
fn gets_and_recovers() {
    converse(|_connection, channel, queue| async move {
        publish(&channel, &queue, b"first").await?;
        publish(&channel, &queue, b"second").await?;
        let options = BasicGetOptions::default();
        let got = channel.basic_get(queue.as_str().into(), options).await?.expect("a message");
        assert_eq!((got.data.as_slice(), got.message_count), (b"first".as_slice(), 1));

        channel.basic_recover(BasicRecoverOptions { requeue: true }).await?;
        let again = channel.basic_get(queue.as_str().into(), options).await?.expect("a message");
        assert_eq!((again.data.as_slice(), again.redelivered), (b"first".as_slice(), true));
        again.ack(BasicAckOptions { multiple: true }).await?;

        let deleted = channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
        assert_eq!(deleted, 1, "the second message goes with the queue");
        Ok(())
    });
}

#[test]
fn gets_what_has_no_route_back() {
    converse(|_connection, channel, _queue| async move {
        let confirmation = publish(&channel, "interop.nowhere", b"lost").await?;
        let Confirmation::Ack(Some(returned)) = confirmation else {
            panic!("the message was not returned before its confirm: {confirmation:?}");
        };
        assert_eq!((returned.reply_code, returned.reply_text.as_str()), (312, "NO_ROUTE"));
        assert_eq!(returned.data, b"lost");
        Ok(())
    });
}

#[test]
fn is_told_when_a_full_queue_refuses() {
    converse(|_connection, channel, _queue| async move {
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
        arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
        let options = QueueDeclareOptions::exclusive();
        let queue = channel.queue_declare("".into(), options, arguments).await?;
        let name = queue.name().to_string();
        assert!(publish(&channel, &name, b"fits").await?.is_ack());
        assert!(publish(&channel, &name, b"does not").await?.is_nack());
        Ok(())
    });
}

#[test]
fn commits_and_rolls_back() {
    converse(|connection, channel, queue| async move {
        let transactional = connection.create_channel().await?;
        transactional.tx_select().await?;
        publish(&transactional, &queue, b"undone").await?;
        transactional.tx_rollback().await?;
        publish(&transactional, &queue, b"done").await?;
        transactional.tx_commit().await?;

        let options = BasicGetOptions { no_ack: true };
        let got = channel.basic_get(queue.as_str().into(), options).await?.expect("a message");
        assert_eq!(got.data, b"done");
        assert!(channel.basic_get(queue.into(), options).await?.is_none());
        Ok(())
    });
}

#[test]
fn goes_on_after_a_missing_queue() {
    converse(|connection, channel, _queue| async move {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let refused =
            channel.queue_declare("interop.missing".into(), passive, FieldTable::default()).await;
        let error = refused.expect_err("there is no such queue");
        assert!(error.is_amqp_soft_error(), "{error:?}");
        let text = error.to_string();
        let expected = "NOT_FOUND - no queue 'interop.missing' in vhost '/'";
        assert!(text.contains(expected), "{text}");

        let works = connection.create_channel().await?;
        let options = QueueDeclareOptions::exclusive();
        works.queue_declare("".into(), options, FieldTable::default()).await?;
        connection.close(200, "bye".into()).await
    });
}
