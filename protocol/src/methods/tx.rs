//! Class tx (AMQP 0-9-1 §1.9): local transactions on a channel.

class! {
    tx = 90;

    /// Make the channel transactional.
    Select = 10, "select", synchronous {}

    /// The channel is transactional.
    SelectOk = 11, "select-ok" {}

    /// Do all that was published and settled since the last one.
    Commit = 20, "commit", synchronous {}

    /// It is done.
    CommitOk = 21, "commit-ok" {}

    /// Forget all that was published and settled since the last one.
    Rollback = 30, "rollback", synchronous {}

    /// It is forgotten.
    RollbackOk = 31, "rollback-ok" {}
}
