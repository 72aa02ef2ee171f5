"""Names of languages in one form: ISO 639-1 where there is one, else ISO 639-3, with a script where one is needed.

Detectors name the same language differently: ``en``, ``eng``, ``eng_Latn``; ``zh`` and ``cmn_Hani``. A macrolanguage
stands for its standard variety, as in FineWeb-2's table, since detectors were trained on that.
"""

import re

_TWO_OF_THREE = """
aar:aa abk:ab afr:af aka:ak amh:am ara:ar arg:an asm:as ava:av ave:ae aym:ay aze:az bak:ba bam:bm bel:be ben:bn bis:bi
bod:bo bos:bs bre:br bul:bg cat:ca ces:cs cha:ch che:ce chu:cu chv:cv cor:kw cos:co cre:cr cym:cy dan:da deu:de div:dv
dzo:dz ell:el eng:en epo:eo est:et eus:eu ewe:ee fao:fo fas:fa fij:fj fin:fi fra:fr fry:fy ful:ff gla:gd gle:ga glg:gl
glv:gv grn:gn guj:gu hat:ht hau:ha heb:he her:hz hin:hi hmo:ho hrv:hr hun:hu hye:hy ibo:ig ido:io iii:ii iku:iu ile:ie
ina:ia ind:id ipk:ik isl:is ita:it jav:jv jpn:ja kal:kl kan:kn kas:ks kat:ka kau:kr kaz:kk khm:km kik:ki kin:rw kir:ky
kom:kv kon:kg kor:ko kua:kj kur:ku lao:lo lat:la lav:lv lim:li lin:ln lit:lt ltz:lb lub:lu lug:lg mah:mh mal:ml mar:mr
mkd:mk mlg:mg mlt:mt mon:mn mri:mi msa:ms mya:my nau:na nav:nv nbl:nr nde:nd ndo:ng nep:ne nld:nl nno:nn nor:no nya:ny
oci:oc oji:oj ori:or orm:om oss:os pan:pa pli:pi pol:pl por:pt pus:ps que:qu roh:rm ron:ro run:rn rus:ru sag:sg san:sa
sin:si slk:sk slv:sl sme:se smo:sm sna:sn snd:sd som:so sot:st spa:es sqi:sq srd:sc srp:sr ssw:ss sun:su swa:sw swe:sv
tah:ty tam:ta tat:tt tel:te tgk:tg tgl:tl tha:th tir:ti ton:to tsn:tn tso:ts tuk:tk tur:tr twi:tw uig:ug ukr:uk urd:ur
uzb:uz ven:ve vie:vi vol:vo wln:wa wol:wo xho:xh yid:yi yor:yo zha:za zho:zh zul:zu
"""
"""ISO 639-3 with an ISO 639-1 code."""
_STANDARD = """
arb:ar azj:az ayr:ay bho:bho cmn:zh ekk:et fil:tl gug:gn khk:mn kmr:ku lvs:lv nob:no nb:no npi:ne ory:or pbt:ps
pes:fa plt:mg quz:qu quy:qu als:sq swh:sw uzn:uz ydd:yi zsm:ms fuv:ff gaz:om knc:kr ike:iu kng:kg pbu:ps
src:sc iw:he in:id ji:yi mo:ro sh:hbs
"""
"""Standard varieties and names that are no longer used."""
_CODES = {name: code for name, _, code in (pair.partition(":") for pair in (_TWO_OF_THREE + _STANDARD).split())}

WIKIPEDIA = {
    "als": "gsw",
    "bat-smg": "sgs",
    "bh": "bho",
    "eml": "egl",
    "nah": "nah",
    "zh-yue": "yue",
    "zh-min-nan": "nan",
}
"""Where lid.176 has Wikipedia's own names, some of which are another language's in ISO 639-3."""

_SCRIPTS = {"sr": "Cyrl", "bs": "Latn", "hbs": "Latn", "uz": "Latn", "az": "Latn", "kk": "Cyrl", "ku": "Latn"} | {
    **{"pa": "Guru", "tt": "Cyrl", "mn": "Cyrl", "tg": "Cyrl", "tk": "Latn", "ky": "Cyrl", "ug": "Arab", "ms": "Latn"},
    **{"ha": "Latn", "hi": "Deva", "ur": "Arab", "sd": "Arab", "ks": "Arab", "crh": "Latn", "be": "Cyrl", "ru": "Cyrl"},
    **{"uk": "Cyrl", "bg": "Cyrl", "mk": "Cyrl", "el": "Grek", "ar": "Arab", "fa": "Arab", "ja": "Jpan", "ko": "Hang"},
}
"""Languages that are written in several scripts, with the one that goes without saying (CLDR, likely subtags)."""
_BLOCKS = {
    "Latn": re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]"),
    "Cyrl": re.compile(r"[\u0400-\u052f]"),
    "Arab": re.compile(r"[\u0600-\u06ff\u0750-\u077f]"),
    "Deva": re.compile(r"[\u0900-\u097f]"),
    "Guru": re.compile(r"[\u0a00-\u0a7f]"),
    "Grek": re.compile(r"[\u0370-\u03ff]"),
    "Mong": re.compile(r"[\u1800-\u18af]"),
    "Jpan": re.compile(r"[\u3040-\u30ff\u3400-\u9fff]"),
    "Hang": re.compile(r"[\u1100-\u11ff\uac00-\ud7af]"),
}


def normal(code: str) -> str:
    """A language's name in the corpus's form.

    Args:
        code: As a detector, a data set or a page says it: ``eng_Latn``, ``zh-CN``, ``deu``.
    """
    language, *rest = code.strip().replace("_", "-").split("-")
    language = language.lower()
    language = _CODES.get(language, language)
    script = next((part.title() for part in rest if len(part) == 4 and part.isalpha()), None)
    usual = _SCRIPTS.get(language)
    return f"{language}-{script}" if script and usual and script != usual else language


def with_script(language: str, text: str) -> str:
    """The name with the script that most letters of a text are in, where that is not the usual one.

    Args:
        language: In the corpus's form, without a script.
        text: What it was told of.
    """
    usual = _SCRIPTS.get(language)
    if usual is None:
        return language
    counts = {script: len(block.findall(text)) for script, block in _BLOCKS.items()}
    most = max(counts, key=lambda script: (counts[script], script == usual))
    return language if most == usual or not counts[most] else f"{language}-{most}"


def needs_script(language: str) -> bool:
    """Whether a language is written in several scripts."""
    return language in _SCRIPTS
