//! What the four characters of a sample entry stand for, in the words of whoever made the film: for tracks that are left out
//! (the registration authority's list, mp4ra.org, and QuickTime's).

/// A name for people. `None` if these characters are not known.
pub(super) fn name_of(kind: [u8; 4]) -> Option<&'static str> {
    pictures(kind).or_else(|| sounds(kind)).or_else(|| others(kind))
}

fn pictures(kind: [u8; 4]) -> Option<&'static str> {
    Some(match &kind {
        b"apch" | b"apcn" | b"apcs" | b"apco" | b"ap4h" | b"ap4x" => "ProRes",
        b"aprn" | b"aprh" => "ProRes RAW",
        b"AVdn" | b"AVdh" | b"AVd1" => "DNxHD",
        b"mp4v" | b"DIVX" | b"XVID" | b"3IV2" | b"FMP4" => "MPEG-4 Visual",
        b"s263" | b"h263" | b"H263" => "H.263",
        b"jpeg" | b"mjpa" | b"mjpb" | b"AVDJ" | b"MJPG" => "Motion JPEG",
        b"mjp2" | b"mj2 " | b"j2ki" | b"MJ2C" => "JPEG 2000",
        b"mjxs" | b"jxsm" => "JPEG XS",
        b"png " | b"MPNG" => "PNG",
        b"gif " => "GIF",
        b"tiff" => "TIFF",
        b"raw " | b"2vuy" | b"2Vuy" | b"yuv2" | b"yuvs" | b"v210" | b"v308" | b"v408" | b"v410" | b"r210"
        | b"R10k" | b"b64a" | b"b48r" | b"uncv" => "uncompressed video",
        b"rle " => "QuickTime Animation",
        b"rpza" | b"smc " | b"8BPS" | b"qdrw" => "an early QuickTime coding",
        b"cvid" => "Cinepak",
        b"SVQ1" | b"SVQ3" => "Sorenson Video",
        b"dvc " | b"dvcp" | b"dvpp" | b"dv5n" | b"dv5p" | b"dvh2" | b"dvh3" | b"dvh5" | b"dvh6" | b"dvhp"
        | b"dvhq" | b"dv1n" | b"dv1p" => "DV",
        b"hdv1" | b"hdv2" | b"hdv3" | b"hdv4" | b"hdv5" | b"hdv6" | b"hdv7" | b"hdv8" | b"hdv9" | b"hdva"
        | b"xdv1" | b"xdv2" | b"xdv3" | b"xdv4" | b"xdv5" | b"xdv6" | b"xdv7" | b"xdv8" | b"xdv9"
        | b"xdva" | b"xdvb" | b"xdvc" | b"xdvd" | b"xdve" | b"xdvf" | b"xd5a" | b"xd5b" | b"xd5c"
        | b"xd5d" | b"xd5e" | b"xd5f" | b"xd59" | b"xd54" | b"xd55" | b"m2v1" | b"mpg2" | b"mx5n"
        | b"mx5p" | b"mx4n" | b"mx4p" | b"mx3n" | b"mx3p" => "MPEG-2 video",
        b"mpeg" | b"m1v " | b"mp1v" => "MPEG-1 video",
        b"ai5p" | b"ai5q" | b"ai52" | b"ai53" | b"ai55" | b"ai56" | b"ai1p" | b"ai1q" | b"ai12" | b"ai13"
        | b"ai15" | b"ai16" | b"AVin" => "AVC-Intra",
        b"avc2" | b"avc4" | b"svc1" | b"svc2" | b"mvc1" | b"mvc2" | b"mvc3" | b"mvc4" => {
            "H.264 in layers (SVC, MVC)"
        }
        b"lhv1" | b"lhe1" | b"hvc2" | b"hev2" | b"hvt1" => "HEVC in layers or tiles",
        b"dvh1" | b"dvhe" | b"dva1" | b"dvav" | b"dav1" => "Dolby Vision",
        b"vp08" | b"VP80" => "VP8",
        b"vvc1" | b"vvi1" | b"vvcN" => "VVC",
        b"evc1" | b"evs1" | b"evs2" => "EVC",
        b"avs3" | b"avst" => "AVS",
        b"vc-1" | b"WMV3" => "VC-1",
        b"CFHD" => "CineForm",
        b"drac" => "Dirac",
        b"Hap1" | b"Hap5" | b"HapY" | b"HapM" | b"HapA" => "Hap",
        b"icod" => "Apple Intermediate Codec",
        b"mif1" | b"hvcI" | b"avcI" => "a still picture",
        _ => return None,
    })
}

fn sounds(kind: [u8; 4]) -> Option<&'static str> {
    Some(match &kind {
        b"agsm" | b"ms\x001" => "GSM",
        b"samr" | b"sawb" | b"sawp" => "AMR",
        b"sevc" | b"sqcp" | b"ssmv" | b"Qclp" | b"Qclq" => "a coding of mobile phones (EVRC, QCELP, SMV)",
        b"QDM2" | b"QDMC" => "QDesign Music",
        b"MAC3" | b"MAC6" => "MACE",
        b"ima4" | b"ms\0\x02" | b"ms\0\x11" | b"dvi4" => "ADPCM",
        b"dvca" => "DV sound",
        b"alac" => "ALAC",
        b"ac-4" => "AC-4",
        b"dtsc" | b"dtsh" | b"dtsl" | b"dtse" | b"dtsx" | b"dtsy" | b"dts-" | b"dts+" => "DTS",
        b"mlpa" => "TrueHD",
        b"mha1" | b"mha2" | b"mhm1" | b"mhm2" => "MPEG-H 3D Audio",
        b"iamf" => "IAMF",
        b"vorb" | b"Vrbs" => "Vorbis",
        b"spex" | b"SPXN" => "Speex",
        b"wma " | b"owma" => "Windows Media Audio",
        b"m4ae" | b"mp4s" => "an MPEG-4 system stream",
        _ => return None,
    })
}

fn others(kind: [u8; 4]) -> Option<&'static str> {
    Some(match &kind {
        b"tmcd" => "a timecode",
        b"text" | b"tx3g" | b"wvtt" | b"stpp" | b"sbtt" | b"stxt" | b"subp" | b"c608" | b"c708" | b"mp4t" => {
            "text"
        }
        b"rtp " | b"rrtp" | b"srtp" | b"tsro" => "a streaming hint",
        b"mebx" | b"mett" | b"metx" | b"urim" | b"gpmd" | b"camm" | b"fdp " | b"evte" => "metadata",
        _ => return None,
    })
}
