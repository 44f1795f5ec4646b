//! The receiving ends of channels, as streams.

mod common;

use common::block_on;
use heist_sync::cancel_scope;
use heist_sync::mpsc;
use heist_sync::stream::wrappers::{ReceiverStream, UnboundedReceiverStream};
use heist_sync::stream::{Stream, StreamExt};

#[test]
fn items_come_in_order_and_then_the_end() {
    let (sender, receiver) = mpsc::channel(3);
    let thread = std::thread::spawn(move || {
        for i in 0..100 {
            sender.blocking_send(i).unwrap();
        }
    });
    let received: Vec<_> = block_on(ReceiverStream::new(receiver).collect());
    assert_eq!(received, (0..100).collect::<Vec<_>>());
    thread.join().unwrap();
}

/// Control: a stream that reads ahead leaves nothing to the receiver.
#[test]
fn the_receiver_gets_back_what_was_not_read() {
    let (sender, receiver) = mpsc::unbounded_channel();
    for i in 0..3 {
        sender.send(i).unwrap();
    }
    let mut stream = UnboundedReceiverStream::from(receiver);
    assert_eq!(stream.size_hint(), (3, None));
    assert_eq!(block_on(stream.next()), Some(0));
    stream.close();
    assert!(sender.send(3).is_err());
    assert_eq!(stream.as_ref().len(), 2);
    let mut receiver = stream.into_inner();
    assert_eq!(receiver.try_recv(), Ok(1));
}

/// Control: without the question at each poll the item is received and lost.
#[test]
fn nothing_is_received_in_a_cancelled_scope() {
    heist_runtime::block_on(async {
        let (sender, receiver) = mpsc::channel(1);
        sender.send(1).await.unwrap();
        let mut stream = ReceiverStream::new(receiver);
        let result = cancel_scope(async |scope| {
            scope.cancel();
            stream.next().await;
        })
        .await;
        assert!(result.is_err());
        assert_eq!(stream.next().await, Some(1));
    });
}
