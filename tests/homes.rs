//! Connections with little to do gather on one worker, so that a burst wakes one ring.
//!
//! Clients on a thread of their own send rounds of small messages. The test notes which thread answers each
//! connection, and waits for the time in which one and the same answers all of them, for many rounds. What
//! a busy home does then is tested with the policy, in `runtime/src/scheduler/homes.rs`.
//!
//! Negative control: with a first look that is never due (`u64::MAX` in `Homes::new`) they stay on both.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use common::{STEALING, Watchdog, alone, builder};
use heist::net::{TcpListener, TcpStream};
use heist::{spawn, time::sleep};

const CONNECTIONS: usize = 32;
/// Time between two rounds: many more messages a second than the policy cares for, and little work.
const PAUSE: Duration = Duration::from_millis(2);
/// As many rounds with one home are no accident.
const ROUNDS: u32 = 100;
/// A change that fails is tried again after at most five seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// The thread that answered each connection last.
type Homes = Arc<Mutex<Vec<Option<ThreadId>>>>;

async fn echo(mut stream: TcpStream, at: usize, homes: Homes) {
    while let Ok(Some(bytes)) = stream.recv().await {
        homes.lock().unwrap()[at] = Some(thread::current().id());
        stream.write_all(&bytes).await.unwrap();
    }
}

/// Sends rounds until one thread has answered everybody for long. Returns whether it has.
fn send_until_gathered(address: SocketAddr, homes: &Homes) -> bool {
    let mut clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| StdStream::connect(address).unwrap())
        .collect();
    let (start, mut together) = (Instant::now(), 0);
    while together < ROUNDS && start.elapsed() < PATIENCE {
        for client in &mut clients {
            client.write_all(b"ping").unwrap();
        }
        for client in &mut clients {
            client.read_exact(&mut [0; 4]).unwrap();
        }
        let homes = homes.lock().unwrap();
        let same = homes.iter().all(|home| *home == homes[0]);
        together = if same { together + 1 } else { 0 };
        drop(homes);
        thread::sleep(PAUSE);
    }
    together == ROUNDS
}

#[test]
fn connections_with_little_to_do_gather_on_one_worker() {
    let _alone = alone();
    let _watchdog = Watchdog::new("gathering", 60);
    for profile in STEALING {
        let runtime = builder(2, profile).build().unwrap();
        let homes: Homes = Arc::new(Mutex::new(vec![None; CONNECTIONS]));
        let gathered = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (tell, told) = mpsc::channel();
            let noted = Arc::clone(&homes);
            let clients = thread::spawn(move || {
                tell.send(send_until_gathered(address, &noted)).unwrap();
            });
            for at in 0..CONNECTIONS {
                let (stream, _) = listener.accept().await.unwrap();
                drop(spawn(echo(stream, at, Arc::clone(&homes))));
            }
            let gathered = loop {
                if let Ok(gathered) = told.try_recv() {
                    break gathered;
                }
                sleep(Duration::from_millis(10)).await;
            };
            clients.join().unwrap();
            gathered
        });
        assert!(gathered, "{profile:?}: {:?}", homes.lock().unwrap());
        runtime.shutdown(Duration::from_secs(5));
    }
}
