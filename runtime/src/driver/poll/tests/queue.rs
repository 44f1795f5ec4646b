//! The completion queue: what finds no place in it, and who may fill it.

use super::*;

/// Control, tried: a completion that is dropped when the queue is full.
#[test]
fn completions_that_find_no_place_wait() {
    let test = |bench: &Bench| {
        for round in 0..20 {
            for name in 0..8 {
                let name = 1000 + round * 8 + name;
                bench.push(opcode::Nop::new().build().user_data(name));
            }
            drop(bench.ring.enter(0, None));
        }
        assert!(bench.ring.has_overflow());
        for name in 1000..1160 {
            assert_eq!(bench.next(name), (0, 0));
        }
        bench.look(Duration::ZERO);
        assert!(!bench.ring.has_overflow());
    };
    test(&Bench::new(true, 8).expect("an emulated ring"));
    if has_uring() {
        test(&Bench::new(false, 8).expect("a ring of the kernel's"));
    }
}

/// A reader that is fed faster than the queue has room gets everything all the same, in order.
#[test]
fn a_receive_waits_for_room_in_the_queue() {
    let bench = Bench::new(true, 8).expect("an emulated ring");
    let (mut here, there) = UnixStream::pair().expect("a pair");
    let receive = bench.receive_many(&there);
    for name in 0..8 {
        bench.push(opcode::Nop::new().build().user_data(2000 + name));
    }
    drop(bench.ring.enter(0, None));
    here.write_all(b"later").expect("sent");
    drop(bench.ring.enter(0, None));
    assert!(bench.ring.must_be_entered(), "nobody would look again");
    assert_eq!(bench.bytes(bench.next(receive)), b"later");
    bench.cancel(receive);
    bench.next(receive);
}

/// What a sibling does for a worker that is stuck.
#[test]
fn another_thread_brings_completions_to_light() {
    let bench = Bench::new(true, 64).expect("an emulated ring");
    let (mut here, there) = UnixStream::pair().expect("a pair");
    let receive = bench.receive_many(&there);
    here.write_all(b"rescue").expect("sent");
    bench.push(opcode::Nop::new().build().user_data(3000));
    thread::scope(|scope| {
        let ring = &bench.ring;
        let entered = scope.spawn(|| ring.enter_foreign().expect("nobody is inside"));
        assert_eq!(entered.join().expect("no panic"), 1);
    });
    assert_eq!(bench.ring.ready(), 2);
    assert_eq!(bench.bytes(bench.next(receive)), b"rescue");
    assert_eq!(bench.next(3000), (0, 0));
    bench.cancel(receive);
    bench.next(receive);
}
