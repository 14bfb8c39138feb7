//! Hello world: one program puts a message into the queue `hello`, the other
//! prints what comes out of it.
//!
//! ```sh
//! cargo run -p leveret-tests --example hello_world -- receive
//! cargo run -p leveret-tests --example hello_world -- send
//! ```
#![expect(clippy::print_stdout, reason = "what an example does is shown by what it prints")]

use std::error::Error;

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("AMQP_URL")
        .unwrap_or_else(|_| "amqp://guest:guest@localhost:5672/%2F".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    // Declaring is idempotent: whichever half starts first creates the queue.
    channel
        .queue_declare("hello".into(), QueueDeclareOptions::durable(), FieldTable::default())
        .await?;

    match std::env::args().nth(1).as_deref() {
        Some("send") => send(&channel).await?,
        Some("receive") => receive(&channel).await?,
        _ => return Err("usage: hello_world send|receive".into()),
    }
    connection.close(200, "bye".into()).await?;
    Ok(())
}

async fn send(channel: &Channel) -> Result<(), Box<dyn Error>> {
    // The default exchange (the empty name) routes to the queue that the
    // routing key names.
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default();
    channel
        .basic_publish("".into(), "hello".into(), options, b"Hello World!", properties)
        .await?
        .await?;
    println!(" [x] Sent 'Hello World!'");
    Ok(())
}

async fn receive(channel: &Channel) -> Result<(), Box<dyn Error>> {
    // Without acknowledgements the broker forgets a message as soon as it is
    // sent to us. The work_queue example survives a consumer's death.
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut deliveries =
        channel.basic_consume("hello".into(), "".into(), options, FieldTable::default()).await?;

    println!(" [*] Waiting for messages. To exit press CTRL+C");
    while let Some(delivery) = deliveries.next().await {
        println!(" [x] Received '{}'", String::from_utf8_lossy(&delivery?.data));
    }
    Ok(())
}
