use std::net::TcpListener;

use protocol::frame;

use super::*;

fn frames_of(bytes: &[u8], pieces: usize) -> Frames {
    let mut frames = Frames::default();
    bytes.chunks(pieces).for_each(|piece| frames.read(piece));
    frames
}

#[test]
fn frames_are_found_however_the_bytes_come() {
    let sizes = [0, 1, 125, 126, 65_535, 65_536];
    let bytes = sizes.map(|size| frame::text(&vec![b'x'; size]).to_vec()).concat();
    for pieces in [1, 2, 7, 4096, bytes.len()] {
        let frames = frames_of(&bytes, pieces);
        assert!(frames.are_whole() && frames.count() == 6, "{pieces}");
    }
    let cut = frames_of(&bytes[..bytes.len() - 1], 4096);
    assert!(!cut.are_whole() && cut.count() == 5);
}

/// A crowd of three, and the server's ends of its connections.
fn crowd() -> (Crowd, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut crowd = Crowd::new().unwrap();
    crowd.connect(listener.local_addr().unwrap(), 3, &Greeting::Nothing).unwrap();
    let server = (0..3).map(|_| listener.accept().unwrap().0).collect();
    (crowd, server)
}

#[test]
fn a_round_is_over_when_everybody_has_the_same_whole_frames() {
    let (mut crowd, mut server) = crowd();
    let bytes = frame::text(&[b'x'; 1000]);
    for socket in &mut server {
        socket.write_all(&bytes).unwrap();
    }
    let seen = crowd.watch().unwrap();
    assert_eq!((seen.frames, seen.bytes), (1, 1004));
    crowd.forget();
    // One byte short: not over.
    server[0].write_all(&bytes).unwrap();
    server[1].write_all(&bytes).unwrap();
    server[2].write_all(&bytes[..1003]).unwrap();
    while crowd.had_by_all < 3 * 1004 - 1 {
        crowd.sweep().unwrap();
    }
    assert!(!crowd.is_level().unwrap());
    server[2].write_all(&bytes[1003..]).unwrap();
    assert_eq!(crowd.watch().unwrap().frames, 1);
}

#[test]
fn a_right_sum_of_wrong_parts_is_found() {
    let (mut crowd, mut server) = crowd();
    let bytes = frame::text(&[b'x'; 10]);
    server[0].write_all(&bytes).unwrap();
    server[1].write_all(&bytes[1..]).unwrap();
    server[2].write_all(&[&bytes[..], b"x"].concat()).unwrap();
    assert!(crowd.watch().is_err());
}

#[test]
fn a_server_that_hangs_up_is_found() {
    let (mut crowd, server) = crowd();
    drop(server);
    assert!(crowd.watch().is_err());
}

#[test]
fn what_clients_say_first_is_what_the_gateway_reads() {
    let address = "127.0.0.1:80".parse().unwrap();
    let bytes = Greeting::Room("b".into()).bytes(address);
    let text = String::from_utf8_lossy(&bytes);
    let (head, rest) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("GET /ws HTTP/1.1\r\nHost: 127.0.0.1:80\r\n"));
    assert!(rest.ends_with(r#"{"type":"join","room":"b"}"#));
    assert!(Greeting::Nothing.bytes(address).is_empty());
}
