//! Asks many questions side by side, none of which can hold up the rest.

use std::panic;

use tokio::task::{JoinError, JoinSet};

use crate::world::clock::Deadline;

/// Runs questions side by side and returns the answers in the order of the questions.
pub(crate) async fn all<T: Send + 'static>(
    questions: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let mut running = JoinSet::new();
    for (place, question) in questions.into_iter().enumerate() {
        running.spawn(async move { (place, question.await) });
    }
    let mut answers = Vec::with_capacity(running.len());
    while let Some(ended) = running.join_next().await {
        answers.push(ended.unwrap_or_else(pass_on));
    }
    answers.sort_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Looks at files on a thread of its own. `None`: not done in time, for example on a network disk that does not answer.
pub(super) async fn on_thread<T: Send + 'static>(
    deadline: Deadline,
    look: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let look = tokio::task::spawn_blocking(look);
    match tokio::time::timeout_at(deadline.instant(), look).await {
        Ok(ended) => Some(ended.unwrap_or_else(pass_on)),
        Err(_) => None,
    }
}

/// Passes a panic on to the caller: it is a bug, and no task is ever cancelled.
fn pass_on<T>(error: JoinError) -> T {
    match error.try_into_panic() {
        Ok(panic) => panic::resume_unwind(panic),
        Err(error) => panic!("BUG: a question was cancelled: {error}"),
    }
}
