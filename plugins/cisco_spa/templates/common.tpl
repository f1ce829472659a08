{# What every model gets. #}
<Provision_Enable>Yes</Provision_Enable>
<Resync_On_Reset>Yes</Resync_On_Reset>
<Resync_Periodic>3600</Resync_Periodic>
<Resync_From_SIP>Yes</Resync_From_SIP>
<Upgrade_Enable>Yes</Upgrade_Enable>
<Server_Type>Asterisk</Server_Type>
{# The phone would act on these codes itself; empty, they go to the server as they are dialled. #}
<DND_Act_Code></DND_Act_Code>
<DND_Deact_Code></DND_Deact_Code>
<Cfwd_All_Act_Code></Cfwd_All_Act_Code>
<Cfwd_All_Deact_Code></Cfwd_All_Deact_Code>
<Cfwd_Busy_Act_Code></Cfwd_Busy_Act_Code>
<Cfwd_Busy_Deact_Code></Cfwd_Busy_Deact_Code>
<Cfwd_No_Ans_Act_Code></Cfwd_No_Ans_Act_Code>
<Cfwd_No_Ans_Deact_Code></Cfwd_No_Ans_Deact_Code>
<Call_Park_Code></Call_Park_Code>
<Call_Unpark_Code></Call_Unpark_Code>
