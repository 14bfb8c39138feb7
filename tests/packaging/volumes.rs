//! Where data are kept: a volume mounted at RabbitMQ's directory or on `mnesia` below it has them.

use std::fs;
use std::os::unix::fs::symlink;

use super::container::{Container, names_in};

/// A queue with a message that the next container must find.
const QUEUE: &str = "kept";

fn leave(container: &Container) {
    let running = container.start();
    let mut client = running.connect("guest", "guest");
    client.declare_queue(QUEUE);
    client.fill_persistent(QUEUE, &["message"]);
    assert!(running.stop().success());
}

fn assert_kept(container: &Container) {
    let running = container.start();
    let waiting = running.connect("guest", "guest").queue_state(QUEUE).message_count;
    assert_eq!(waiting, 1);
    assert!(running.stop().success());
}

#[test]
fn the_host_may_change_its_name() {
    let container = Container::new().with("RABBITMQ_NODENAME", "rabbit@one");
    leave(&container);
    assert_eq!(names_in(&container.path("var/lib/rabbitmq/mnesia")), ["leveret"]);
    assert_kept(&container.with("RABBITMQ_NODENAME", "rabbit@two"));
}

/// Advice of many years, and what RabbitMQ's operator for Kubernetes does.
#[test]
fn a_volume_on_mnesia_alone_has_the_data() {
    let first = Container::new();
    leave(&first);
    let second = Container::new();
    let mnesia = second.path("var/lib/rabbitmq/mnesia");
    fs::remove_dir(&mnesia).expect("an empty directory");
    symlink(first.path("var/lib/rabbitmq/mnesia"), mnesia).expect("a link");
    assert_kept(&second);
}

#[test]
fn data_of_an_earlier_image_are_found_at_the_top_of_the_volume() {
    let top = Container::new();
    let directory = top.path("var/lib/rabbitmq");
    let top = top.with("LEVERET_DATA_DIR", directory.display().to_string());
    leave(&top);
    let upgraded = top.without("LEVERET_DATA_DIR");
    assert!(upgraded.path("var/lib/rabbitmq/FORMAT").exists());
    assert_kept(&upgraded);
    // Nothing was moved, and the next start finds the same.
    assert!(upgraded.path("var/lib/rabbitmq/FORMAT").exists());
    assert_kept(&upgraded);
}

#[test]
fn a_new_directory_goes_before_an_earlier_one() {
    let container = Container::new();
    leave(&container);
    fs::write(container.path("var/lib/rabbitmq/FORMAT"), "not ours").expect("a writable file");
    assert_kept(&container);
}
