//! `select!`: until one of several branches is done, and then its handler.

/// Runs several futures at the same time, in this task, until the first is done; then runs the handler
/// of that branch.
///
/// `asyncio.wait(.., return_when=FIRST_COMPLETED)`, with what to do about each outcome. The syntax is
/// tokio's:
///
/// ```text
/// select! {
///     biased;                                      // optional
///     pattern = future => handler,
///     pattern = future, if condition => handler,
///     else => handler,                             // optional
/// }
/// ```
///
/// The value is that of the handler, which runs in the code around: it may use `await`, `?`, `break`
/// and so on.
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::time::{Duration, sleep};
/// use heist_sync::{oneshot, select};
///
/// let (sender, receiver) = oneshot::channel();
/// sender.send(7).unwrap();
/// let told = select! {
///     Ok(number) = receiver => number,
///     _ = sleep(Duration::from_secs(60)) => 0,
/// };
/// assert_eq!(told, 7);
/// # });
/// ```
///
/// 1. All conditions are evaluated. A branch whose condition is false is switched off: its future is not
///    made. (tokio's makes it, and does not poll it.)
/// 2. The other futures are made and polled, beginning with one by chance, or, after `biased;`, in the
///    order in which they are written.
/// 3. The first output that its pattern matches decides. One that it does not match switches its branch
///    off. If all are switched off, `else` runs.
/// 4. The other futures are cancelled. Those that have begun nothing that needs cleanup, a plain receive
///    or sleep for instance, are dropped as they are and lose nothing; the others unwind, and their
///    cleanup is awaited. The handler runs after that.
///
/// A future that is only lent (`&mut future`, or pinned behind such a reference) is not cancelled. It
/// stays as it is, so that a loop can go on with it, whatever it consists of:
///
/// ```
/// # heist_runtime::block_on(async {
/// use heist_sync::select;
/// use heist_sync::time::{Duration, interval, sleep};
/// use std::pin::pin;
///
/// let mut work = pin!(async {
///     sleep(Duration::from_millis(5)).await;
///     "done"
/// });
/// let mut ticks = interval(Duration::from_millis(1));
/// let mut ticked = 0;
/// let output = loop {
///     select! {
///         output = &mut work => break output,
///         _ = ticks.tick() => ticked += 1,
///     }
/// };
/// assert_eq!(output, "done");
/// # });
/// ```
///
/// In patterns, a name that stands alone is a constant or a variant if it begins with a capital, as in
/// `None = stream.next()`, and a binding else.
///
/// # Panics
///
/// When all branches are switched off and there is no `else`. A panic of one of the futures wins too: it
/// goes through after the others have unwound. So does a panic in the cleanup of a loser.
///
/// # Cancel safety
///
/// When the future of which it is a part is dropped, it drops the futures that it owns. When the task is
/// cancelled, all of them unwind at the same time.
#[macro_export]
macro_rules! select {
    ($($tokens:tt)*) => {
        $crate::__private::select! { ($crate) $($tokens)* }
    };
}
