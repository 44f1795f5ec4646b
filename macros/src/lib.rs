//! The attributes `#[heist::main]` and `#[heist::test]`. Use them through the facade crate `heist`.
//!
//! In reading order:
//!
//! - `args`: what may stand in the parentheses.
//! - `function`: the function below, whose body stays tokens.
//! - `expand`: what both become.
//! - `select`: the inside of `heist::select!`.

#![forbid(unsafe_code)]

mod args;
mod function;
mod expand;
mod select;

use proc_macro::TokenStream;

use args::Kind;

/// Runs an `async fn` on a runtime of its own (asyncio: `run`).
///
/// It is meant for `main`, and works on every function: what was an `async fn` becomes an ordinary one that
/// builds a runtime, runs the body inside [`block_on`](https://docs.rs/heist/latest/heist/fn.block_on.html) and shuts
/// the runtime down.
///
/// # Arguments
///
/// All are optional:
///
/// | argument | what it sets | default |
/// |---|---|---|
/// | `worker_threads = N` | how many workers, at least 1; the thread that calls is one of them | the processor's threads |
/// | `flavor = "..."` | `"multi_thread"`, or `"current_thread"` for a single worker, the thread that calls | `"multi_thread"` |
/// | `profile = "..."` | how rings are used: `"defer"`, `"coop"` or `"pinned"`, as in `RingProfile` | `"defer"` |
/// | `start_paused = true` | whether the clock stands still at first; needs the feature `test-util` | `false` |
/// | `crate = "..."` | the path of the crate `heist`, where it has another name | `"::heist"` |
///
/// The names are tokio's, but for `profile`.
///
/// # Panics
///
/// What was made of the function panics if the runtime cannot be built, with the cause and the remedy; and if it is called
/// inside async code.
///
/// # Examples
///
/// ```
/// #[heist::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let answer = heist::spawn(async { "42".parse::<i32>() }).await??;
///     assert_eq!(answer, 42);
///     Ok(())
/// }
/// ```
///
/// On one worker, with a ring that uses no signal:
///
/// ```
/// #[heist::main(flavor = "current_thread", profile = "coop")]
/// async fn main() {
///     heist::time::sleep(std::time::Duration::from_millis(1)).await;
/// }
/// ```
///
/// Where `heist` has another name:
///
/// ```
/// use heist as thieves;
///
/// #[thieves::main(crate = "thieves")]
/// async fn main() {
///     thieves::yield_now().await;
/// }
/// ```
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Main, args.into(), item.into()).into()
}

/// Makes an `async fn` a test that runs on a runtime of its own.
///
/// # Arguments
///
/// Those of [`macro@main`], but the runtime has a single worker unless `worker_threads` or
/// `flavor = "multi_thread"` says otherwise: tests run beside each other already, and one worker is quick to
/// start.
///
/// With `start_paused = true` the clock stands still from the start, and
/// [`time::advance`](https://docs.rs/heist/latest/heist/time/fn.advance.html) moves it. Unlike tokio's, the clock is
/// the process's and never moves by itself. So such a test runs while no other `#[heist::test]` of the
/// same program does, and no other one sees its clock.
///
/// # Examples
///
/// ```
/// #[heist::test]
/// async fn two_tasks_make_one_sum() -> Result<(), heist::JoinError> {
///     let two = heist::spawn(async { 2 });
///     assert_eq!(two.await? + 2, 4);
///     Ok(())
/// }
///
/// #[heist::test(worker_threads = 4)]
/// #[should_panic(expected = "four")]
/// async fn panics_go_through() {
///     panic!("four");
/// }
/// ```
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Kind::Test, args.into(), item.into()).into()
}

/// The inside of `heist::select!`, which is documented there.
#[doc(hidden)]
#[proc_macro]
pub fn select(input: TokenStream) -> TokenStream {
    select::expand(input.into()).into()
}
