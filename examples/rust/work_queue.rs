//! Work queue: tasks that outlive a restart of the broker, each given to one
//! free worker and acknowledged when it is done.
//!
//! Each dot in a task stands for a second of work.
//!
//! ```sh
//! cargo run -p leveret-tests --example work_queue -- work      # start several
//! cargo run -p leveret-tests --example work_queue -- add 'Render page...'
//! ```
#![expect(clippy::print_stdout, reason = "what an example does is shown by what it prints")]

use std::error::Error;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

/// `delivery_mode` of a message that is kept on disk.
const PERSISTENT: u8 = 2;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::var("AMQP_URL")
        .unwrap_or_else(|_| "amqp://guest:guest@localhost:5672/%2F".to_owned());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel
        .queue_declare("task_queue".into(), QueueDeclareOptions::durable(), FieldTable::default())
        .await?;

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((role, task)) if role == "add" => add(&channel, &task.join(" ")).await?,
        Some((role, _)) if role == "work" => work(&channel).await?,
        _ => return Err("usage: work_queue work | add TASK".into()),
    }
    connection.close(200, "bye".into()).await?;
    Ok(())
}

async fn add(channel: &Channel, task: &str) -> Result<(), Box<dyn Error>> {
    // With confirms on, the second await ends once the broker has taken
    // responsibility for the message: here, once it is on disk.
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let confirmation = channel
        .basic_publish("".into(), "task_queue".into(), options, task.as_bytes(), properties)
        .await?
        .await?;
    if !confirmation.is_ack() {
        return Err("the broker did not accept the task".into());
    }
    println!(" [x] Sent '{task}'");
    Ok(())
}

async fn work(channel: &Channel) -> Result<(), Box<dyn Error>> {
    // At most one unacknowledged task: the next goes to a worker that is free.
    channel.basic_qos(1, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let mut deliveries = channel
        .basic_consume("task_queue".into(), "".into(), options, FieldTable::default())
        .await?;

    println!(" [*] Waiting for messages. To exit press CTRL+C");
    while let Some(delivery) = deliveries.next().await {
        let delivery = delivery?;
        let task = String::from_utf8_lossy(&delivery.data);
        println!(" [x] Received '{task}'");
        for _ in task.matches('.') {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        println!(" [x] Done");

        // Until this point the task belongs to the broker.
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}
