//! Which requests fill which buffers.

/// A part of a caller's buffer, and where its bytes lie in the object.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) offset: u64,
    pub(super) buffer: &'a mut [u8],
}

impl Piece<'_> {
    fn end(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }
}

/// Bytes that are asked for at once, and all that they fill.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) start: u64,
    pub(super) end: u64,
    /// By offset.
    pieces: Vec<Piece<'a>>,
    /// How many at the front are full.
    full: usize,
}

impl Request<'_> {
    /// Puts bytes where they are wanted. They follow those that were given before; what is wanted by nobody is dropped.
    pub(super) fn fill(&mut self, position: u64, bytes: &[u8]) {
        let end = position + bytes.len() as u64;
        for piece in self.pieces[self.full..].iter_mut().take_while(|piece| piece.offset < end) {
            let (from, to) = (piece.offset.max(position), piece.end().min(end));
            if from < to {
                let at = (from - piece.offset) as usize;
                let wanted = &bytes[(from - position) as usize..(to - position) as usize];
                piece.buffer[at..at + wanted.len()].copy_from_slice(wanted);
            }
        }
        self.full += self.pieces[self.full..].iter().take_while(|piece| piece.end() <= end).count();
    }
}

/// Cuts what is longer than `most` bytes, and joins what has at most `gap` bytes in between, as long as it does not get longer than that.
/// No piece is empty, and none ends past `u64::MAX`.
pub(super) fn requests<'a>(pieces: impl Iterator<Item = Piece<'a>>, most: u64, gap: u64) -> Vec<Request<'a>> {
    let mut pieces: Vec<_> = pieces.flat_map(|piece| cut(piece, most)).collect();
    pieces.sort_by_key(|piece| piece.offset);
    let mut requests: Vec<Request<'a>> = Vec::new();
    for piece in pieces {
        let (start, end) = (piece.offset, piece.end());
        match requests.last_mut() {
            Some(last) if start <= last.end.saturating_add(gap) && end.max(last.end) - last.start <= most => {
                last.end = last.end.max(end);
                last.pieces.push(piece);
            }
            _ => requests.push(Request { start, end, pieces: vec![piece], full: 0 }),
        }
    }
    requests
}

/// In parts of about equal length, none longer than `most`.
fn cut(piece: Piece<'_>, most: u64) -> impl Iterator<Item = Piece<'_>> {
    let length = piece.buffer.len() as u64;
    let step = length.div_ceil(length.div_ceil(most).max(1)).max(1) as usize;
    let offsets = (piece.offset..).step_by(step);
    piece.buffer.chunks_mut(step).zip(offsets).map(|(buffer, offset)| Piece { offset, buffer })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_buffer_gets_its_bytes_however_they_arrive(
            wanted in proptest::collection::vec((0_u64..2000, 1_usize..300), 0..20),
            most in 1_u64..500,
            gap in 0_u64..200,
            arriving in 1_usize..150,
        ) {
            let object: Vec<u8> = (0..2300_u32).map(|index| (index * 31 % 251) as u8).collect();
            let mut buffers: Vec<_> = wanted.iter().map(|&(_, length)| vec![0xa5; length]).collect();
            let pieces = wanted.iter().zip(&mut buffers).map(|(&(offset, _), buffer)| Piece { offset, buffer });
            let mut fetched = 0;
            let mut end_before = 0;
            for mut request in requests(pieces, most, gap) {
                prop_assert!(request.end - request.start <= most);
                prop_assert!(request.start >= end_before || gap == 0 || request.start + most > end_before);
                end_before = request.end;
                fetched += request.end - request.start;
                let mut position = request.start;
                for bytes in object[request.start as usize..request.end as usize].chunks(arriving) {
                    request.fill(position, bytes);
                    position += bytes.len() as u64;
                }
                prop_assert_eq!(request.full, request.pieces.len());
            }
            for (&(offset, length), buffer) in wanted.iter().zip(&buffers) {
                prop_assert_eq!(&object[offset as usize..][..length], &buffer[..]);
            }
            // No more than what was wanted and a gap after each.
            let bytes: u64 = wanted.iter().map(|&(_, length)| length as u64).sum();
            prop_assert!(fetched <= bytes + gap * wanted.len() as u64, "{fetched} for {bytes}");
        }
    }

    #[test]
    fn what_is_near_is_one_request_and_what_is_far_is_not() {
        let spans = |wanted: &[(u64, usize)], most, gap| -> Vec<(u64, u64)> {
            let mut buffers: Vec<_> = wanted.iter().map(|&(_, length)| vec![0; length]).collect();
            let pieces = wanted.iter().zip(&mut buffers).map(|(&(offset, _), buffer)| Piece { offset, buffer });
            requests(pieces, most, gap).iter().map(|request| (request.start, request.end)).collect()
        };
        assert_eq!(spans(&[(110, 10), (0, 100)], 1000, 10), [(0, 120)]);
        assert_eq!(spans(&[(0, 100), (111, 10)], 1000, 10), [(0, 100), (111, 121)]);
        assert_eq!(spans(&[(0, 100), (100, 10)], 105, 10), [(0, 100), (100, 110)]);
        assert_eq!(spans(&[(50, 101)], 100, 0), [(50, 101), (101, 151)]);
        assert_eq!(spans(&[(0, 10), (0, 10), (5, 3)], 100, 0), [(0, 10)]);
    }
}
