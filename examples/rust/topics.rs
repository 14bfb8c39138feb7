//! Topics: a subscriber gets what fits its patterns. A routing key is words
//! joined by dots; in a binding key `*` stands for exactly one word and `#` for
//! any number of them.
//!
//! ```sh
//! cargo run -p leveret-tests --example topics -- receive 'kern.*' '*.critical'
//! cargo run -p leveret-tests --example topics -- emit kern.critical 'Out of memory'
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

const EXCHANGE: &str = "topic_logs";
const USAGE: &str = "usage: topics receive BINDING_KEY... | emit ROUTING_KEY MESSAGE";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("AMQP_URL")
        .unwrap_or_else(|_| "amqp://guest:guest@localhost:5672/%2F".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = ExchangeDeclareOptions::default();
    channel
        .exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, options, FieldTable::default())
        .await?;

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [role, routing_key, message] if role == "emit" => {
            emit(&channel, routing_key, message).await?;
        }
        [role, binding_keys @ ..] if role == "receive" && !binding_keys.is_empty() => {
            receive(&channel, binding_keys).await?;
        }
        _ => return Err(USAGE.into()),
    }
    connection.close(200, "bye".into()).await?;
    Ok(())
}

async fn emit(channel: &Channel, routing_key: &str, message: &str) -> Result<(), Box<dyn Error>> {
    let options = BasicPublishOptions::default();
    let (body, properties) = (message.as_bytes(), BasicProperties::default());
    channel
        .basic_publish(EXCHANGE.into(), routing_key.into(), options, body, properties)
        .await?
        .await?;
    println!(" [x] Sent '{routing_key}':'{message}'");
    Ok(())
}

async fn receive(channel: &Channel, binding_keys: &[String]) -> Result<(), Box<dyn Error>> {
    let queue = channel
        .queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default())
        .await?;

    // One binding for each key; a message that fits several still arrives once.
    for binding_key in binding_keys {
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        let (name, binding_key) = (queue.name().clone(), binding_key.as_str().into());
        channel.queue_bind(name, EXCHANGE.into(), binding_key, options, arguments).await?;
    }

    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut deliveries = channel
        .basic_consume(queue.name().clone(), "".into(), options, FieldTable::default())
        .await?;

    println!(" [*] Waiting for logs. To exit press CTRL+C");
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        let message = String::from_utf8_lossy(&delivery.data);
        println!(" [x] '{}':'{message}'", delivery.routing_key);
    }
    Ok(())
}
