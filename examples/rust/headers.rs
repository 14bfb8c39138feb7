//! Headers: a subscriber names headers, and gets the messages that carry all,
//! or any, of them. The routing key plays no part.
//!
//! ```sh
//! cargo run -p leveret-tests --example headers -- receive all format=pdf type=report
//! cargo run -p leveret-tests --example headers -- emit 'Q3' format=pdf type=report
//! ```
#![expect(clippy::print_stdout, reason = "what an example does is shown by what it prints")]

use std::error::Error;

use futures_util::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};

const EXCHANGE: &str = "headers_logs";
const USAGE: &str = "usage: headers receive all|any HEADER=VALUE... | emit MESSAGE HEADER=VALUE...";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("AMQP_URL")
        .unwrap_or_else(|_| "amqp://guest:guest@localhost:5672/%2F".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = ExchangeDeclareOptions::default();
    channel
        .exchange_declare(EXCHANGE.into(), ExchangeKind::Headers, options, FieldTable::default())
        .await?;

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [role, message, headers @ ..] if role == "emit" => {
            emit(&channel, message, table(headers)?).await?;
        }
        [role, x_match, headers @ ..] if role == "receive" && !headers.is_empty() => {
            receive(&channel, x_match, table(headers)?).await?;
        }
        _ => return Err(USAGE.into()),
    }
    connection.close(200, "bye".into()).await?;
    Ok(())
}

/// Reads `header=value` words into a table of strings.
fn table(words: &[String]) -> Result<FieldTable, Box<dyn Error>> {
    let mut table = FieldTable::default();
    for word in words {
        let (name, value) = word.split_once('=').ok_or(USAGE)?;
        table.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    Ok(table)
}

async fn emit(channel: &Channel, message: &str, headers: FieldTable) -> Result<(), Box<dyn Error>> {
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default().with_headers(headers);
    channel
        .basic_publish(EXCHANGE.into(), "".into(), options, message.as_bytes(), properties)
        .await?
        .await?;
    println!(" [x] Sent '{message}'");
    Ok(())
}

async fn receive(
    channel: &Channel,
    x_match: &str,
    mut arguments: FieldTable,
) -> Result<(), Box<dyn Error>> {
    let queue = channel
        .queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default())
        .await?;

    // x-match tells the exchange how many of the other arguments must fit.
    arguments.insert("x-match".into(), AMQPValue::LongString(x_match.into()));
    let (name, options) = (queue.name().clone(), QueueBindOptions::default());
    channel.queue_bind(name.clone(), EXCHANGE.into(), "".into(), options, arguments).await?;

    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut deliveries =
        channel.basic_consume(name, "".into(), options, FieldTable::default()).await?;

    println!(" [*] Waiting for logs. To exit press CTRL+C");
    while let Some(delivery) = deliveries.next().await {
        println!(" [x] '{}'", String::from_utf8_lossy(&delivery?.data));
    }
    Ok(())
}
