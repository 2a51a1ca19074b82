//! ITU-T G.711.

use amphi_media::G711Law;

/// A sample of 16 bits (ITU-T G.711 §3, tables 1 and 2, scaled up from 13 and 14 bits).
pub const fn g711(law: G711Law, byte: u8) -> i16 {
    match law {
        G711Law::Mu => {
            let byte = !byte;
            let (exponent, mantissa) = ((byte >> 4) & 7, (byte & 15) as i16);
            let magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84;
            if byte & 0x80 == 0 { magnitude } else { -magnitude }
        }
        G711Law::A => {
            let byte = byte ^ 0x55;
            let (exponent, mantissa) = ((byte >> 4) & 7, (byte & 15) as i16);
            let magnitude = match exponent {
                0 => (mantissa << 4) + 8,
                _ => ((mantissa << 4) + 0x108) << (exponent - 1),
            };
            if byte & 0x80 == 0 { -magnitude } else { magnitude }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g711_has_the_values_of_its_tables() {
        let mu: Vec<_> = [0x00, 0x0f, 0x80, 0xff, 0x7f].map(|byte| g711(G711Law::Mu, byte)).to_vec();
        assert_eq!(mu, [-32_124, -16_764, 32_124, 0, 0]);
        let a: Vec<_> = [0x2a, 0xaa, 0xd5, 0x55].map(|byte| g711(G711Law::A, byte)).to_vec();
        assert_eq!(a, [-32_256, 32_256, 8, -8]);
    }
}
