{# What every phone gets, in the file for all and in its own. #}
{# Not to ask the vendor's redirection service. #}
contact rcs: 0
tos sip: 46
tos rtp: 46
