GET 46xxsettings.txt
