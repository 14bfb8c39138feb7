//! RPC: the client asks for a Fibonacci number and waits for the answer on a
//! reply queue of its own.
//!
//! ```sh
//! cargo run -p leveret-tests --example rpc -- serve
//! cargo run -p leveret-tests --example rpc -- call 30
//! ```
#![expect(clippy::print_stdout, reason = "what an example does is shown by what it prints")]

use std::error::Error;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

const REPLY_WITHIN: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("AMQP_URL")
        .unwrap_or_else(|_| "amqp://guest:guest@localhost:5672/%2F".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [role] if role == "serve" => serve(&channel).await?,
        [role, n] if role == "call" => {
            println!(" [x] Requesting fib({n})");
            let answer = tokio::time::timeout(REPLY_WITHIN, call(&channel, n)).await??;
            println!(" [.] Got {answer}");
        }
        _ => return Err("usage: rpc serve | call N".into()),
    }
    connection.close(200, "bye".into()).await?;
    Ok(())
}

fn fibonacci(n: u32) -> u64 {
    let (mut previous, mut current) = (0_u64, 1_u64);
    for _ in 0..n {
        (previous, current) = (current, previous.wrapping_add(current));
    }
    previous
}

async fn serve(channel: &Channel) -> Result<(), Box<dyn Error>> {
    channel
        .queue_declare("rpc_queue".into(), QueueDeclareOptions::durable(), FieldTable::default())
        .await?;

    // Several servers share the load when each takes one request at a time.
    channel.basic_qos(1, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let mut requests = channel
        .basic_consume("rpc_queue".into(), "".into(), options, FieldTable::default())
        .await?;

    println!(" [x] Awaiting RPC requests");
    while let Some(request) = requests.next().await {
        let request = request?;
        let n: u32 = std::str::from_utf8(&request.data)?.parse()?;
        println!(" [.] fib({n})");

        // The correlation id tells the client which of its requests this answers.
        let mut properties = BasicProperties::default();
        if let Some(correlation_id) = request.properties.correlation_id() {
            properties = properties.with_correlation_id(correlation_id.clone());
        }
        if let Some(reply_to) = request.properties.reply_to() {
            let body = fibonacci(n).to_string();
            let options = BasicPublishOptions::default();
            channel
                .basic_publish("".into(), reply_to.clone(), options, body.as_bytes(), properties)
                .await?
                .await?;
        }
        request.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

async fn call(channel: &Channel, n: &str) -> Result<String, Box<dyn Error>> {
    let reply_queue = channel
        .queue_declare("".into(), QueueDeclareOptions::exclusive(), FieldTable::default())
        .await?;
    let reply_to = reply_queue.name().clone();
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let mut replies =
        channel.basic_consume(reply_to.clone(), "".into(), options, FieldTable::default()).await?;

    let correlation_id = format!("fib-{n}-{}", std::process::id());
    let properties = BasicProperties::default()
        .with_reply_to(reply_to)
        .with_correlation_id(correlation_id.as_str().into());
    let options = BasicPublishOptions::default();
    channel
        .basic_publish("".into(), "rpc_queue".into(), options, n.as_bytes(), properties)
        .await?
        .await?;

    while let Some(reply) = replies.next().await {
        let reply = reply?;
        let answered = reply.properties.correlation_id().as_ref();
        if answered.is_some_and(|id| id.as_str() == correlation_id) {
            return Ok(String::from_utf8_lossy(&reply.data).into_owned());
        }
    }
    Err("the connection ended before the answer came".into())
}
