//! Publish/subscribe: every subscriber gets a copy of what is published while
//! it listens.
//!
//! ```sh
//! cargo run -p leveret-tests --example publish_subscribe -- receive
//! cargo run -p leveret-tests --example publish_subscribe -- emit 'Disk is full'
//! ```
#![expect(clippy::print_stdout, reason = "what an example does is shown by what it prints")]

use std::error::Error;

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("AMQP_URL")
        .unwrap_or_else(|_| "amqp://guest:guest@localhost:5672/%2F".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = ExchangeDeclareOptions::default();
    channel
        .exchange_declare("logs".into(), ExchangeKind::Fanout, options, FieldTable::default())
        .await?;

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((role, message)) if role == "emit" => emit(&channel, &message.join(" ")).await?,
        Some((role, _)) if role == "receive" => receive(&channel).await?,
        _ => return Err("usage: publish_subscribe receive | emit MESSAGE".into()),
    }
    connection.close(200, "bye".into()).await?;
    Ok(())
}

async fn emit(channel: &Channel, message: &str) -> Result<(), Box<dyn Error>> {
    // A fanout exchange ignores the routing key. Without a subscriber the
    // message goes nowhere.
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default();
    channel
        .basic_publish("logs".into(), "".into(), options, message.as_bytes(), properties)
        .await?
        .await?;
    println!(" [x] Sent '{message}'");
    Ok(())
}

async fn receive(channel: &Channel) -> Result<(), Box<dyn Error>> {
    // An empty name asks the broker to choose one; an exclusive queue goes
    // away with this connection.
    let queue = channel
        .queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default())
        .await?;
    let (name, arguments) = (queue.name().clone(), FieldTable::default());
    channel
        .queue_bind(name.clone(), "logs".into(), "".into(), QueueBindOptions::default(), arguments)
        .await?;

    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut deliveries =
        channel.basic_consume(name, "".into(), options, FieldTable::default()).await?;

    println!(" [*] Waiting for logs. To exit press CTRL+C");
    while let Some(delivery) = deliveries.next().await {
        println!(" [x] {}", String::from_utf8_lossy(&delivery?.data));
    }
    Ok(())
}
