"""Coded concepts of the result objects: standard codes where they exist, private ones where none does.

Names of the NCI Thesaurus stages are those of HL7 mCODE's value sets. DICOM has no code for a lesion count,
for MY-RADS or for Durie-Salmon PLUS; those are private, of the scheme that `declared_schemes` declares.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from marrowmap.data.dicom_seg import ABNORMAL_CODE, ANATOMICAL_CODE, REGION_CODES
from marrowmap.data.skeleton import Region

#: Private scheme; DICOM wants such names to begin with 99.
SCHEME = "99MARROWMAP"
SCHEME_NAME = "marrowmap findings and rules"
_SCT = "SCT"
_NCIT = "NCIt"


def private(value: str, meaning: str) -> Code:
    """Return a concept of our own scheme (value of up to 16 characters)."""
    return Code(value, SCHEME, meaning)


LESION = Code("52988006", _SCT, "Lesion")
ABNORMAL = Code(ABNORMAL_CODE, _SCT, "Morphologically Abnormal Structure")
ANATOMICAL = Code(ANATOMICAL_CODE, _SCT, "Anatomical Structure")
BONE = Code("272673000", _SCT, "Bone")
ENTIRE_BODY = Code("38266002", _SCT, "Entire body")
PROCEDURE = Code("126022", "DCM", "Multiparametric MRI of whole body")
TITLE = Code("126001", "DCM", "Oncology Measurement Report")
VOLUME = Code("118565006", _SCT, "Volume")
VOLUME_METHOD = Code("126030", "DCM", "Sum of segmented voxel method for volume")
LONGEST_DIAMETER = Code("L0JK", "IBSI", "Maximum 3D Diameter of a Mesh")
PERPENDICULAR_DIAMETER = Code("131189007", _SCT, "Perpendicular Axis")
ADC = Code("113041", "DCM", "Apparent Diffusion Coefficient")
FAT_FRACTION = Code("129100", "DCM", "Fat fraction")
PROBABILITY = Code("122157", "DCM", "Probability")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
MEAN = Code("373098007", _SCT, "Mean")
MEDIAN = Code("373099004", _SCT, "Median")
TOTAL = Code("255619001", _SCT, "Total")
UM2_PER_S = Code("um2/s", "UCUM", "um2/s")
LESIONS_UNIT = Code("{lesions}", "UCUM", "lesions")
PERCENT = Code("%", "UCUM", "Percent")
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
REFORMATTING = Code("113072", "DCM", "Multiplanar reformatting")

LESION_COUNT = private("LESIONS_VISIBLE", "Number of visible lesions")
ACTIVE_COUNT = private("LESIONS_ACTIVE", "Number of active lesions")
FOCAL_COUNT = private("FOCAL_5MM", "Number of certain focal lesions of 5 mm or more")
EQUIVOCAL_COUNT = private("LESIONS_EQUIV", "Number of equivocal lesions")
MARROW_FRACTION = private("MARROW_FRACTION", "Part of the segmented skeleton that is lesion")
MARROW_VOLUME = private("MARROW_VOLUME", "Volume of the segmented skeleton")
PATTERN = private("PATTERN", "Infiltration pattern of the marrow")
DIFFUSE_GRADE = private("DIFFUSE_GRADE", "Grade of diffuse marrow change")
STATUS = private("VIABILITY", "Viability of the lesion by ADC")
BENIGN = private("BENIGN_MIMIC", "Suspected benign mimic")
KIND = private("LESION_KIND", "Relation of the lesion to bone")
INTENDED_USE = private("INTENDED_USE", "Intended use")
RESEARCH = private("RESEARCH_ONLY", "Research use only, not a medical device; excludes no disease")

#: Anatomic site of each skeletal region.
SITES: Mapping[str, Code] = {
    Region.SKULL.key: Code(REGION_CODES[Region.SKULL], _SCT, "Skull"),
    Region.CERVICAL_SPINE.key: Code(REGION_CODES[Region.CERVICAL_SPINE], _SCT, "Cervical spine"),
    Region.THORACIC_SPINE.key: Code(REGION_CODES[Region.THORACIC_SPINE], _SCT, "Thoracic spine"),
    Region.LUMBAR_SPINE.key: Code(REGION_CODES[Region.LUMBAR_SPINE], _SCT, "Lumbar spine"),
    Region.SACRUM_PELVIS.key: Code(REGION_CODES[Region.SACRUM_PELVIS], _SCT, "Pelvis"),
    Region.THORAX.key: Code(REGION_CODES[Region.THORAX], _SCT, "Bone of thorax"),
    Region.HUMERI.key: Code(REGION_CODES[Region.HUMERI], _SCT, "Humerus"),
    Region.FEMORA.key: Code(REGION_CODES[Region.FEMORA], _SCT, "Femur"),
}

CERTAINTIES = {
    "certain": private("CERTAIN", "Certain"),
    "equivocal": Code("42425007", _SCT, "Equivocal"),
}
STATUSES = {
    "active": private("ACTIVE", "Active"),
    "treated": private("TREATED", "Treated"),
    "indeterminate": Code("82334004", _SCT, "Indeterminate"),
}
MIMICS = {
    "haemangioma": Code("400210000", _SCT, "Hemangioma"),
    "degenerative": private("DEGENERATIVE", "Degenerative change"),
    "fracture_oedema": private("FRACTURE_OEDEMA", "Oedema of a fracture"),
    "red_marrow": private("RED_MARROW", "Red marrow"),
    "other": private("OTHER_BENIGN", "Other benign finding"),
}
KINDS = {
    "focal": private("FOCAL", "Focal, in bone"),
    "paramedullary": private("PARAMEDULLARY", "Paramedullary, in bone and beside it"),
    "extramedullary": private("EXTRAMEDULLARY", "Extramedullary, away from bone"),
}
PATTERNS = {
    "normal": Code("17621005", _SCT, "Normal"),
    "focal": private("PATTERN_FOCAL", "Focal"),
    "diffuse": private("PATTERN_DIFFUSE", "Diffuse"),
    "focal_on_diffuse": private("PATTERN_BOTH", "Focal on diffuse"),
    "micronodular": private("PATTERN_MICRO", "Micronodular"),
}
GRADES = {
    "none": Code("272519000", _SCT, "Absent"),
    "mild": Code("255604002", _SCT, "Mild"),
    "moderate": Code("6736007", _SCT, "Moderate"),
    "severe": Code("24484000", _SCT, "Severe"),
}

_STAGES = {
    "0": Code("261613009", _SCT, "Stage 0"),
    "I": Code("258215001", _SCT, "Stage 1"),
    "II": Code("258219007", _SCT, "Stage 2"),
    "III": Code("258224005", _SCT, "Stage 3"),
}
_ISS = {
    "I": Code("C70658", _NCIT, "ISS Stage I Plasma Cell Myeloma"),
    "II": Code("C70659", _NCIT, "ISS Stage II Plasma Cell Myeloma"),
    "III": Code("C70660", _NCIT, "ISS Stage III Plasma Cell Myeloma"),
}
_R_ISS = {
    "I": Code("C141394", _NCIT, "RISS Stage I Plasma Cell Myeloma"),
    "II": Code("C141395", _NCIT, "RISS Stage II Plasma Cell Myeloma"),
    "III": Code("C141396", _NCIT, "RISS Stage III Plasma Cell Myeloma"),
}
_RISK = {
    "low": Code("62482003", _SCT, "Low"),
    "low_intermediate": private("LOW_INTERMED", "Low intermediate"),
    "intermediate": Code("11896004", _SCT, "Intermediate"),
    "intermediate_high": private("INTERMED_HIGH", "Intermediate high"),
    "high": Code("75540009", _SCT, "High"),
}
_DIAGNOSES = {
    "mgus": private("DX_MGUS", "Monoclonal gammopathy of undetermined significance"),
    "light_chain_mgus": private("DX_LC_MGUS", "Light-chain MGUS"),
    "igm_mgus": private("DX_IGM_MGUS", "IgM MGUS"),
    "smouldering": private("DX_SMOULDERING", "Smouldering myeloma"),
    "multiple_myeloma": Code("1162576007", _SCT, "Multiple myeloma"),
    "solitary_plasmacytoma": private("DX_PLASMACYTOMA", "Solitary plasmacytoma"),
    "solitary_plasmacytoma_minimal_marrow": private(
        "DX_PLASMACYT_MIN", "Solitary plasmacytoma with minimal marrow involvement"
    ),
    "none": private("DX_NONE", "No category met by the inputs given"),
    "inconsistent": private("DX_INCONSISTENT", "Inputs are inconsistent"),
}
_EVENT = {
    "positive": Code("10828004", _SCT, "Positive"),
    "negative": Code("260385009", _SCT, "Negative"),
    "equivocal": Code("42425007", _SCT, "Equivocal"),
    "single_lesion": private("SINGLE_LESION", "Single focal lesion"),
}
_YES_NO = {"true": Code("373066001", _SCT, "Yes"), "false": Code("373067005", _SCT, "No")}
_LECOUVET = {letter: private(f"LECOUVET_{letter}", f"Vertebral pattern {letter}") for letter in "ABCD"}

#: Rule key to the code of its name and those of its values. Response categories go by their own words.
RULES: Mapping[str, tuple[Code, Mapping[str, Code]]] = {
    "durie_salmon": (Code("C139006", _NCIT, "Durie/Salmon Stage"), _STAGES),
    "durie_salmon_plus": (private("DS_PLUS", "Durie-Salmon PLUS stage"), _STAGES),
    "iss": (Code("C139007", _NCIT, "International Staging System Stage"), _ISS),
    "r_iss": (Code("C141392", _NCIT, "Revised International Staging System Stage"), _R_ISS),
    "r2_iss": (private("R2_ISS", "Second revision of the International Staging System"), _RISK),
    "imwg_2014": (private("IMWG_2014", "IMWG criteria of 2014"), _DIAGNOSES),
    "imwg_mri_mde": (private("IMWG_MRI_MDE", "Myeloma-defining event on MRI (IMWG 2014)"), _EVENT),
    "smm_20_2_20": (private("SMM_20_2_20", "Risk of smouldering myeloma, 20-2-20"), _RISK),
    "smm_imwg_points": (private("SMM_IMWG_POINTS", "Risk of smouldering myeloma, IMWG points"), _RISK),
    "walker_7_lesions": (private("WALKER_7", "More than 7 focal lesions (Walker)"), _YES_NO),
    "rasche_large_lesions": (private("RASCHE_LARGE", "Three or more large focal lesions (Rasche)"), _YES_NO),
    "lecouvet_pattern": (private("LECOUVET", "Vertebral pattern (Lecouvet)"), _LECOUVET),
    "met_rads_p": (private("MET_RADS_P", "MET-RADS-P response"), {}),
    "my_rads": (private("MY_RADS", "MY-RADS response assessment category"), {}),
}


def site_of(region: str | None, level: str | None = None) -> Code:
    """Return the anatomic site of a lesion: its vertebra where known, else its region, else the body.

    Args:
        region: Region key, None away from the skeleton.
        level: Vertebra such as `T7` or `L2`, None where it is not labelled.
    """
    vertebra = getattr(codes.SCT, f"{level}Vertebra", None) if level else None
    if vertebra is not None:
        return Code(vertebra.value, _SCT, vertebra.meaning)
    return SITES.get(region or "", ENTIRE_BODY)


def stage_codes(rule: str, value: object) -> tuple[Code, Code] | None:
    """Return the coded name and value of a rule's result, None where it has no value.

    A value that no table knows (a response category, a new rule) becomes a private code of its words.
    """
    if value is None:
        return None
    word = str(value).lower() if isinstance(value, bool) else str(value)
    name, values = RULES.get(rule, (private(rule.upper()[:16], rule.replace("_", " ")), {}))
    return name, values.get(word) or private(f"VALUE_{word}".upper()[:16].strip(), word.replace("_", " "))


def declared_schemes() -> Items:
    """Return the Coding Scheme Identification Sequence of our private scheme."""
    item = Dataset()
    item.CodingSchemeDesignator = SCHEME
    item.CodingSchemeName = SCHEME_NAME
    item.CodingSchemeResponsibleOrganization = "marrowmap"
    return Items([item])
